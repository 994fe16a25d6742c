"""``authorization.json``: what the project says about rights, completed with the built-in definitions (spec 3.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.pki.certificates import Role
from rondo.policy.authorization import read_authorization
from rondo.provision.definitions import complete
from rondo.provision.project import Participant, Project

_MAX_BYTES = 4 * 1024 * 1024


def read_authz(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises ``BadInput``: unreadable, not JSON, a key twice, nested absurdly."""
    where = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=where) from error
    if len(data) > _MAX_BYTES:
        raise BadInput(f"larger than {_MAX_BYTES} bytes", where=where)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            twice = next(key for key, _ in pairs if [other for other, _ in pairs].count(key) > 1)
            raise BadInput(f"key {twice!r} is there twice", where=where)
        return value

    try:
        value = json.loads(data, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise BadInput(f"not valid JSON: {error.msg}", where=f"{where}, line {error.lineno}") from None
    except (UnicodeDecodeError, RecursionError):
        raise BadInput("not valid JSON", where=where) from None
    if not isinstance(value, dict):
        raise BadInput("expected an object", where=where)
    return value


def make_authorization(project: Project, given: Mapping[str, Any] | None, where: str) -> dict[str, Any] | None:
    """What authorization.json says, or None where the project does without (then every admin may do everything).

    ``given`` is the file of option -a, read from ``where``. Raises ``BadInput`` where the project wants
    authorization and no policy is given, or where the policy does not hold together.
    """
    if not project.authorization:
        return None
    if given is not None:
        policy = dict(given)
    elif project.policy is not None:
        where = f"{project.where}: authz_policy"
        policy = _from_project(project, project.policy)
    else:
        raise BadInput(
            "no authorization policy was given",
            where=project.where,
            hint="give one with -a FILE; or set server.auth: false, then every admin may do everything",
        )
    policy = complete(policy)
    read_authorization(policy, where)
    return policy


def authorization_notes(project: Project, policy: Mapping[str, Any] | None) -> list[str]:
    """What people should know about participants that the policy does not mention."""
    if policy is None:
        return ["no authorization: every admin may do everything"]
    notes = []
    for one in project.participants:
        if one.role == Role.ADMIN and one.name not in policy["users"]:
            notes.append(f"admin {one.name!r} is no user of the authorization policy: it will be refused everything")
        elif one.role == Role.CLIENT and one.name not in policy["sites"]:
            notes.append(f"client {one.name!r} is no site of the authorization policy: only super users reach it")
    return notes


def _from_project(project: Project, policy: Mapping[str, Any]) -> dict[str, Any]:
    """1.0 keeps orgs, roles and groups under authz_policy, users and sites in the lists of participants."""
    known = ("orgs", "roles", "groups", "rules", "rights", "version")
    for key in policy:
        if key not in known:
            raise BadInput(f"unknown key {key!r}", where=f"{project.where}: authz_policy", hint=nearest(key, known))
    users = {one.name: {"org": one.org, "roles": list(one.roles)} for one in project.participants if _is_admin(one)}
    sites = {
        "server" if one.role == Role.SERVER else one.name: one.org for one in project.participants if not _is_admin(one)
    }
    return {"version": "1.0", **policy, "users": users, "sites": sites}


def _is_admin(one: Participant) -> bool:
    return one.role == Role.ADMIN
