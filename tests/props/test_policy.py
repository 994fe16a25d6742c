"""Random policies: our evaluator against a naive one that reads the raw file with the words of the spec."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import Refused
from rondo.policy.actions import Action, authorize
from rondo.policy.authorization import read_authorization
from rondo.policy.definitions import RIGHTS, RULES
from tests.policy.policies import Facts

ROLES = ("super", "r1", "r2", "r3")
GROUPS = ("g1", "g2", "g3")
ORGS = ("o1", "o2", "o3")
USERS = ("u1", "u2", "u3")
SITES = ("server", "s1", "s2")


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=len(names), unique=True)


def switches(names: Any) -> st.SearchStrategy[dict[str, bool]]:
    return st.dictionaries(st.sampled_from(sorted(names)), st.booleans(), max_size=6)


POLICIES = st.fixed_dictionaries(
    {
        "roles": st.just({role: role for role in ROLES}),
        "groups": st.fixed_dictionaries(
            {
                group: st.fixed_dictionaries(
                    {},
                    optional={
                        "rules": switches(RULES),
                        "role_rights": st.dictionaries(st.sampled_from(ROLES), switches(RIGHTS), max_size=3),
                    },
                )
                for group in GROUPS
            }
        ),
        "orgs": st.fixed_dictionaries({org: some(GROUPS) for org in ORGS}),
        "users": st.fixed_dictionaries(
            {user: st.fixed_dictionaries({"org": st.sampled_from(ORGS), "roles": some(ROLES)}) for user in USERS}
        ),
        "sites": st.fixed_dictionaries({site: st.sampled_from(ORGS) for site in SITES}),
    }
)

TABLE = {
    Action.UPLOAD: ["upload_mmar"],
    Action.DEPLOY: ["deploy_all", "deploy_self"],
    Action.TRAIN: ["train_all", "train_self"],
    Action.VIEW: ["view_all", "view_self"],
    Action.OPERATE: ["operate_all", "operate_self"],
    Action.ASK: [],
}


def naive_right(raw: dict[str, Any], user: str, right: str, site: str) -> bool:
    site_org = raw["sites"][site]
    if right.endswith("_self") and raw["users"][user]["org"] != site_org:
        return False
    found = []
    for group in raw["orgs"][site_org]:
        for role in raw["users"][user]["roles"]:
            table = raw["groups"][group].get("role_rights", {})
            if role in table and right in table[role]:
                found.append(table[role][right])
    if True in found:
        return True
    if found:
        return False
    return right in ("upload_mmar", "view_self")


def naive_rule(raw: dict[str, Any], site: str, rule: str) -> bool:
    found = []
    for group in raw["orgs"][raw["sites"][site]]:
        if rule in raw["groups"][group].get("rules", {}):
            found.append(raw["groups"][group]["rules"][rule])
    if True in found:
        return True
    if found:
        return False
    return rule == "allow_custom_datalist"


def naive_allowed(raw: dict[str, Any], user: str, action: Action, sites: list[str], package: Facts) -> bool:
    if "super" in raw["users"][user]["roles"]:
        return True
    for site in sites:
        if TABLE[action] and not any(naive_right(raw, user, right, site) for right in TABLE[action]):
            return False
        if action in (Action.UPLOAD, Action.DEPLOY):
            if package.byoc and not naive_rule(raw, site, "allow_byoc"):
                return False
            if package.custom_datalist and not naive_rule(raw, site, "allow_custom_datalist"):
                return False
    return True


@given(POLICIES)
def test_rights_and_rules_are_what_the_spec_says(raw: dict[str, Any]) -> None:
    policy = read_authorization(raw, "random")
    for site in SITES:
        for rule in RULES:
            assert policy.rule(site, rule) == naive_rule(raw, site, rule)
        for user in USERS:
            for right in RIGHTS:
                assert policy.right(user, right, site) == naive_right(raw, user, right, site)


@given(POLICIES, st.sampled_from(USERS), some(SITES), st.booleans(), st.booleans())
def test_commands_are_allowed_exactly_where_the_spec_says(
    raw: dict[str, Any], user: str, sites: list[str], byoc: bool, custom_datalist: bool
) -> None:
    policy, package = read_authorization(raw, "random"), Facts(byoc, custom_datalist)
    for action in Action:
        try:
            authorize(policy, user, action, sites, package)
            allowed = True
        except Refused:
            allowed = False
        assert allowed == naive_allowed(raw, user, action, sites, package)


@given(POLICIES, st.sampled_from(USERS), some(SITES))
def test_more_sites_never_make_a_command_allowed(raw: dict[str, Any], user: str, sites: list[str]) -> None:
    policy = read_authorization(raw, "random")

    def allowed(targets: list[str]) -> bool:
        try:
            authorize(policy, user, Action.TRAIN, targets)
        except Refused:
            return False
        return True

    assert allowed(sites) == all(allowed([site]) for site in sites)
