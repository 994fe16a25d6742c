"""What ``rondo provision`` does: give newcomers their kits, and renew. Everybody else's kit stays untouched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rondo.base.disk import write_atomic
from rondo.base.errors import Conflict, NotFound
from rondo.base.options import nearest
from rondo.pki.certificates import Role, day
from rondo.pki.kit import Kit
from rondo.pki.manifest import MANIFEST
from rondo.pki.revocation import REVOKED, sign_list
from rondo.provision.authz import authorization_notes, make_authorization
from rondo.provision.project import Participant, Project
from rondo.provision.render import Recipe, is_current, kit_files, resealed
from rondo.provision.revoke import entries_of, own_servers, revoke_entries
from rondo.provision.scripts import DEFAULT_IMAGE
from rondo.provision.state import State, opened
from rondo.provision.zips import new_password, pack_kit, write_folder

UPDATE = "server-update"
# A certificate that ends sooner than this is worth a word.
SOON = 60 * 86400.0


@dataclass(frozen=True)
class Order:
    """What was asked for. ``out``: folder for the zip files; ``state``: the state folder; ``authz``: the content
    of the file of option -a and ``authz_where`` its name; ``server_kits``: opened server kits on this machine to
    be brought up to date in place; ``encrypt``: zip files get passwords; ``image``: for docker.sh."""

    project: Project
    out: Path
    state: Path
    authz: Mapping[str, Any] | None = None
    authz_where: str = ""
    server_kits: tuple[Path, ...] = ()
    encrypt: bool = True
    image: str = DEFAULT_IMAGE


@dataclass(frozen=True)
class Made:
    """One new kit. ``password`` is shown once and kept nowhere; None where the zip file is not encrypted."""

    participant: Participant
    path: Path
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """``made``: the new kits; ``kept``: names whose kits were not touched; ``notes``: sentences for people."""

    made: tuple[Made, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]


def provision(order: Order, now: float) -> Outcome:
    """A kit for every participant who has none yet.

    ``now``: seconds since the epoch. Raises ``BadInput`` (the policy, a name), ``Conflict`` (a zip file of that
    name is there already, the state folder is another project's or in use), ``NoSpace``. No kit is written before
    everything was checked, and none appears that the state does not know.
    """
    project = order.project
    policy = make_authorization(project, order.authz, order.authz_where)
    with opened(order.state, project.name, now) as state:
        servers = own_servers(order.server_kits, state)
        recipe = Recipe(project, state.authority, policy, now, order.image)
        new = [one for one in project.participants if one.name not in state.known]
        kept = tuple(one.name for one in project.participants if one.name in state.known)
        for one in new:
            if (order.out / one.zip_name).exists():
                raise Conflict(
                    f"{one.name} has no kit in {order.state} yet, but this file is there already",
                    where=str(order.out / one.zip_name),
                    hint="give another folder with -o, or move the file away",
                )
        notes = [*project.notes, *authorization_notes(project, policy), *_differences(state, recipe)]
        notes += _update_policy(state, recipe, order, servers)
        made = _make(state, recipe, order, new)
    return Outcome(made, kept, tuple(notes))


def renew(order: Order, names: Iterable[str], now: float, *, revoke_old: bool = False, reason: str = "") -> Outcome:
    """A new key, certificate and zip file for each of ``names``; what they have stays valid until it expires.

    With ``revoke_old`` the earlier certificates are revoked at once. Raises as ``provision`` does, and
    ``NotFound`` for a name that is not in the project file or has no kit yet.
    """
    project = order.project
    policy = make_authorization(project, order.authz, order.authz_where)
    with opened(order.state, project.name, now, create=False) as state:
        servers = own_servers(order.server_kits, state)
        wanted = list(dict.fromkeys(_renewable(state, project, name) for name in names))
        recipe = Recipe(project, state.authority, policy, now, order.image)
        old = [entry for one in wanted for entry in entries_of(state, one.name, now, reason)]
        made = _make(state, recipe, order, wanted)
        if revoke_old:
            notes = revoke_entries(state, old, servers, now)
        else:
            still = dict.fromkeys(entry.name for entry in old)
            notes = [f"earlier certificates of {name} stay valid until they expire" for name in still]
    return Outcome(made, (), tuple(notes))


def _make(state: State, recipe: Recipe, order: Order, wanted: list[Participant]) -> tuple[Made, ...]:
    made: list[Made] = []
    contents: list[bytes] = []
    for one in wanted:
        issued = state.authority.issue(one.role, one.name, one.org, recipe.now, recipe.project.rondo.valid_days)
        files = kit_files(recipe, one, issued)
        if one.role == Role.SERVER and state.revoked.number:
            files[REVOKED] = sign_list(state.revoked, state.authority)
        password = new_password() if order.encrypt else None
        contents.append(pack_kit(files, password, recipe.now))
        state.remember(one.role, one.org, issued, files[MANIFEST], recipe.now)
        made.append(Made(one, order.out / one.zip_name, password))
    _write_all([kit.path for kit in made], contents, state)
    return tuple(made)


def _write_all(paths: list[Path], contents: list[bytes], state: State) -> None:
    """All zip files and the state, or none: files take their names only after the state knows of them."""
    parts = [path.with_name(f".{path.name}.new") for path in paths]
    try:
        for part, content in zip(parts, contents, strict=True):
            write_atomic(part, content, 0o600)
        state.save()
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _renewable(state: State, project: Project, name: str) -> Participant:
    one = project.participant(name)
    if one is None:
        known = [other.name for other in project.participants]
        raise NotFound(f"{name!r} is not in the project file", where=project.where, hint=nearest(name, known))
    if one.name not in state.known:
        raise NotFound(f"{one.name!r} has no kit yet", where=str(state.folder), hint="rondo provision makes one")
    return one


def _differences(state: State, recipe: Recipe) -> list[str]:
    """Kits made earlier that no longer say what the project file says, that end soon; people who left."""
    notes = []
    for name, known in sorted(state.known.items()):
        one = recipe.project.participant(name)
        latest = known.certificates[-1]
        revoked = state.revoked.entry(latest.fingerprint) is not None
        renewing = f"rondo provision renew {name}"
        if one is None:
            if not revoked:
                notes.append(f"{name} has a kit but left the project file: rondo provision revoke {name} shuts it out")
        elif revoked:
            notes.append(f"{name} is revoked: {renewing} lets it in again")
        elif one.role != known.role or not is_current(recipe, one, state.manifest(name)):
            notes.append(f"the kit of {name} differs from the project file: {renewing} makes a new one")
        elif latest.not_after < recipe.now + SOON:
            notes.append(f"the certificate of {name} expires on {day(latest.not_after)}: {renewing} makes a new one")
    return notes


def _update_policy(state: State, recipe: Recipe, order: Order, servers: list[Kit]) -> list[str]:
    """Newcomers may change who may do what: the server's kit then needs another authorization.json, sealed anew.

    The files hold no secret; they are written beside the zip files, or into the server kits given.
    """
    name = recipe.project.participants[0].name
    if name not in state.known:
        return []
    update = resealed(recipe, state.manifest(name))
    if not update:
        return []
    state.remember_manifest(name, update[MANIFEST])
    for kit in servers:
        write_folder(kit.folder, resealed(recipe, kit.manifest))
    if servers:
        return [f"authorization changed: brought {kit.folder} up to date" for kit in servers]
    write_folder(order.out / UPDATE, update)
    return [
        f"authorization changed: copy {', '.join(sorted(update))} from {order.out / UPDATE} into the server's "
        "startup folder"
    ]
