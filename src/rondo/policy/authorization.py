"""From ``authorization.json`` to a ``Policy`` in which every name is defined (spec 3.5). An empty policy is invalid."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options, decode, nearest
from rondo.policy.definitions import RIGHTS, RULES, SELF_ORG, SPELLINGS, Right, Rule
from rondo.policy.policy import Group, Policy, User

VERSION = "1.0"
MOST_BYTES = 4 << 20
LONGEST_NAME = 256
_NEEDED = ("roles", "groups", "orgs", "users", "sites")
_ALL = ("version", *_NEEDED, "rights", "rules")

T = TypeVar("T", bound=Options)


class _Right(Options, frozen=True):
    default: bool
    desc: str = ""
    precond: str | None = None

    def __post_init__(self) -> None:
        if self.precond not in (None, "", SELF_ORG):
            raise ValueError(f'undefined precond "{self.precond}", only "{SELF_ORG}" is known')


class _Rule(Options, frozen=True):
    default: bool
    desc: str = ""
    type: Literal["bool"] = "bool"


class _Group(Options, frozen=True):
    desc: str = ""
    rules: dict[str, Any] = msgspec.field(default_factory=dict)
    role_rights: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


class _User(Options, frozen=True):
    org: str
    roles: tuple[str, ...]


def load_authorization(content: bytes, where: str) -> Policy:
    """The policy in the bytes of an ``authorization.json``; raises as ``decoded`` and ``read_authorization`` do."""
    return read_authorization(decoded(content, where), where)


def decoded(content: bytes, where: str) -> Any:
    """What the bytes of a policy file hold. Raises ``BadInput`` for what is not JSON or has a key twice."""
    if len(content) > MOST_BYTES:
        raise BadInput(f"larger than {MOST_BYTES} bytes", where=where)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in pairs:
            if key in table:
                raise BadInput(f'key "{key}" is there twice', where=where)
            table[key] = value
        return table

    try:
        return json.loads(content, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise BadInput(f"not JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError):  # not UTF-8, numbers of thousands of digits, nested without end
        raise BadInput("not JSON", where=where) from None


def read_authorization(mapping: Mapping[str, Any], where: str) -> Policy:
    """The policy that ``mapping`` (a decoded ``authorization.json``) describes.

    Built-in rights and rules are added; a definition in the file replaces the built-in of its name. Raises
    ``BadInput`` that names the offender: ``bad org "X": undefined group "Y"``.
    """
    try:
        return _policy(_sections(mapping))
    except BadInput as error:
        raise BadInput(error.what, where=where, hint=error.hint) from None


def _sections(mapping: object) -> dict[str, Mapping[str, Any]]:
    if not isinstance(mapping, Mapping):
        raise BadInput("the policy must be an object")
    for key in mapping:
        if key not in _ALL:
            raise BadInput(f'unknown key "{key}"', hint=nearest(str(key), _ALL))
    if mapping.get("version", VERSION) != VERSION:
        raise BadInput(f'version must be "{VERSION}", is {mapping["version"]!r}')
    found = {key: mapping.get(key, {}) for key in (*_NEEDED, "rights", "rules")}
    for key, section in found.items():
        if not isinstance(section, Mapping):
            raise BadInput(f'"{key}" must be an object')
        if key in _NEEDED and not section:
            raise BadInput(f'"{key}" is missing or empty', hint="an empty policy is invalid")
        for name in section:
            if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
                raise BadInput(f'"{key}": {name!r} is not a name')
    return found


def _policy(sections: Mapping[str, Mapping[str, Any]]) -> Policy:
    rights = {**RIGHTS, **{name: _right(name, value) for name, value in _respelled("rights", sections["rights"])}}
    rules = {**RULES, **{name: _rule(name, value) for name, value in _respelled("rules", sections["rules"])}}
    policy = Policy(
        roles={name: _text("role", name, value) for name, value in sections["roles"].items()},
        groups={name: _group(name, value) for name, value in sections["groups"].items()},
        orgs={name: _org(name, value) for name, value in sections["orgs"].items()},
        users={name: _user(name, value) for name, value in sections["users"].items()},
        sites={name: _text("site", name, value) for name, value in sections["sites"].items()},
        rights=rights,
        rules=rules,
    )
    _check_names(policy)
    return policy


def _check_names(policy: Policy) -> None:
    """Every name that is used is defined."""
    for name, group in policy.groups.items():
        for rule in group.rules:
            _defined("group", name, "rule", rule, policy.rules)
        for role, rights in group.role_rights.items():
            _defined("group", name, "role", role, policy.roles)
            for right in rights:
                _defined("group", name, "right", right, policy.rights)
    for name, groups in policy.orgs.items():
        for one in groups:
            _defined("org", name, "group", one, policy.groups)
    for name, user in policy.users.items():
        _defined("user", name, "org", user.org, policy.orgs)
        for role in user.roles:
            _defined("user", name, "role", role, policy.roles)
    for name, org in policy.sites.items():
        _defined("site", name, "org", org, policy.orgs)


def _defined(kind: str, name: str, what: str, word: str, known: Collection[str]) -> None:
    if word not in known:
        raise _bad(kind, name, f'undefined {what} "{word}"', nearest(word, known))


def _right(name: str, value: object) -> Right:
    row = _row("right", name, _Right, value)
    return Right(row.desc, row.default, own_org=row.precond == SELF_ORG)


def _rule(name: str, value: object) -> Rule:
    row = _row("rule", name, _Rule, value)
    return Rule(row.desc, row.default)


def _group(name: str, value: object) -> Group:
    row = _row("group", name, _Group, value)
    rights = {}
    for role, given in row.role_rights.items():
        rights[role] = _switches("group", name, f'rights of role "{role}"', given)
    return Group(row.desc, _switches("group", name, "rules", row.rules), rights)


def _org(name: str, value: object) -> tuple[str, ...]:
    return _words("org", name, "group", value)


def _user(name: str, value: object) -> User:
    row = _row("user", name, _User, value)
    return User(name, row.org, _words("user", name, "role", row.roles))


def _switches(kind: str, name: str, what: str, values: Mapping[str, Any]) -> dict[str, bool]:
    switches = dict(_respelled(f'bad {kind} "{name}": {what}', values))
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise _bad(kind, name, f'{what}: "{key}" must be true or false, is {value!r}')
    return switches


def _words(kind: str, name: str, what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise _bad(kind, name, f"its {what}s must be a list of names")
    if not value:
        raise _bad(kind, name, f"no {what}", f"give it at least one {what}")
    return tuple(value)


def _text(kind: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _bad(kind, name, f"must be a string, is {value!r}")
    return value


def _respelled(where: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Rights and rules under the names that we know them by."""
    for key in values:
        if key in SPELLINGS and SPELLINGS[key] in values:
            raise BadInput(f'{where}: "{key}" and "{SPELLINGS[key]}" are the same')
    return [(SPELLINGS.get(key, key), value) for key, value in values.items()]


def _row(kind: str, name: str, shape: type[T], value: Any) -> T:
    try:
        return decode(shape, value, "")
    except BadInput as error:
        raise _bad(kind, name, error.what, error.hint) from None


def _bad(kind: str, name: str, what: str, hint: str = "") -> BadInput:
    return BadInput(f'bad {kind} "{name}": {what}', hint=hint)
