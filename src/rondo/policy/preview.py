"""Answers about a policy as tables: for the console's authz commands and the offline checker (spec 3.6).

They go by what is written: the role ``super`` gets no shortcut here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.policy.definitions import SELF_ORG
from rondo.policy.policy import Policy


@dataclass(frozen=True)
class Table:
    """``head`` once, then ``rows`` of as many cells, all text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show_info(policy: Policy) -> Table:
    """How much the policy names of each kind."""
    kinds = ("roles", "groups", "orgs", "users", "sites", "rights", "rules")
    return _table(("KIND", "COUNT"), ((kind, str(len(getattr(policy, kind)))) for kind in kinds))


def show_users(policy: Policy) -> Table:
    users = policy.users.values()
    return _table(("USER", "ORG", "ROLES"), ((user.name, user.org, ", ".join(user.roles)) for user in users))


def show_sites(policy: Policy) -> Table:
    return _table(("SITE", "ORG"), policy.sites.items())


def show_rights(policy: Policy) -> Table:
    rights = policy.rights.items()
    return _table(
        ("RIGHT", "DESCRIPTION", "DEFAULT", "PRECONDITION"),
        ((name, right.desc, str(right.default), SELF_ORG if right.own_org else "") for name, right in rights),
    )


def show_rules(policy: Policy) -> Table:
    rules = policy.rules.items()
    return _table(("RULE", "DESCRIPTION", "DEFAULT"), ((name, rule.desc, str(rule.default)) for name, rule in rules))


def show_config(policy: Policy) -> Table:
    """What is explicit in the policy: one line for each role, each org's groups, each group's rules and rights."""
    rows = [("role", name, "", desc) for name, desc in policy.roles.items()]
    rows += [("org", name, "groups", ", ".join(groups)) for name, groups in policy.orgs.items()]
    for name, group in policy.groups.items():
        rows.append(("group", name, "", group.desc))
        rows += [("group", name, rule, str(value)) for rule, value in group.rules.items()]
        for role, rights in group.role_rights.items():
            rows += [("group", name, f"{role}: {right}", str(value)) for right, value in rights.items()]
    return _table(("KIND", "NAME", "SETTING", "VALUE"), rows)


def show_site_rules(policy: Policy, site: str) -> Table:
    """Raises ``NotFound`` for an unknown site, as the functions below do for unknown users, rights and rules."""
    return _table(("RULE", "RESULT"), ((rule, str(policy.rule(site, rule))) for rule in policy.rules))


def eval_right(policy: Policy, user: str, right: str, sites: Sequence[str] = ()) -> Table:
    """The user's right on each of the sites; none named: on all."""
    rows = ((site, right, str(policy.right(user, right, site))) for site in sites or tuple(policy.sites))
    return _table(("SITE", "RIGHT", "RESULT"), rows)


def eval_user(policy: Policy, user: str, site: str) -> Table:
    """All of the user's rights on the site."""
    return _table(("RIGHT", "RESULT"), ((right, str(policy.right(user, right, site))) for right in policy.rights))


def eval_rule(policy: Policy, site: str, rule: str) -> Table:
    return _table(("SITE", "RULE", "RESULT"), [(site, rule, str(policy.rule(site, rule)))])


QUESTIONS: Mapping[str, tuple[Callable[..., Table], tuple[str, ...]]] = {
    "show_info": (show_info, ()),
    "show_users": (show_users, ()),
    "show_sites": (show_sites, ()),
    "show_rights": (show_rights, ()),
    "show_rules": (show_rules, ()),
    "show_config": (show_config, ()),
    "show_site_rules": (show_site_rules, ("SITE",)),
    "eval_right": (eval_right, ("USER", "RIGHT", "[SITE...]")),
    "eval_user": (eval_user, ("USER", "SITE")),
    "eval_rule": (eval_rule, ("SITE", "RULE")),
}


def answer(policy: Policy, question: str, words: Sequence[str]) -> Table:
    """The answer to a question as it is typed. Raises ``BadInput`` for no question of ours, or other arguments."""
    if question not in QUESTIONS:
        raise BadInput(f"unknown question {question!r}", hint=nearest(question, QUESTIONS))
    ask, arguments = QUESTIONS[question]
    named = [word for word in arguments if not word.startswith("[")]
    if len(words) < len(named) or (len(words) > len(named) and named == list(arguments)):
        raise BadInput(f"syntax error: {len(words)} arguments", hint=f"usage: {' '.join([question, *arguments])}")
    rest = [tuple(words[len(named) :])] if named != list(arguments) else []
    return ask(policy, *words[: len(named)], *rest)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(head, tuple(rows))
