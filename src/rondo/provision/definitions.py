"""An authorization policy written out in full: the built-in definitions beside its own (spec 3.4, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rondo.policy.definitions import RIGHTS, RULES, SELF_ORG, SPELLINGS


def complete(policy: Mapping[str, Any]) -> dict[str, Any]:
    """``policy`` with the built-in definitions, where it has none of its own, and Clara's spellings throughout.

    What is not of the expected shape is left as it is: whoever validates the policy names it.
    """
    full = dict(policy)
    for part, builtin in (("rights", _rights()), ("rules", _rules())):
        own = full.get(part, {})
        if isinstance(own, Mapping):
            full[part] = {**builtin, **_respelled(own)}
    groups = full.get("groups")
    if isinstance(groups, Mapping):
        full["groups"] = {name: _group(group) for name, group in groups.items()}
    return full


def _group(group: Any) -> Any:
    if not isinstance(group, Mapping):
        return group
    spelled = dict(group)
    if isinstance(group.get("rules"), Mapping):
        spelled["rules"] = _respelled(group["rules"])
    roles = group.get("role_rights")
    if isinstance(roles, Mapping):
        spelled["role_rights"] = {
            role: _respelled(rights) if isinstance(rights, Mapping) else rights for role, rights in roles.items()
        }
    return spelled


def _respelled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {SPELLINGS.get(key, key): value for key, value in values.items()}


def _rights() -> dict[str, Any]:
    return {
        name: {"desc": right.desc, "default": right.default, **({"precond": SELF_ORG} if right.own_org else {})}
        for name, right in RIGHTS.items()
    }


def _rules() -> dict[str, Any]:
    return {name: {"desc": rule.desc, "type": "bool", "default": rule.default} for name, rule in RULES.items()}
