"""A ``Policy`` answers who may do what where (spec 3.4); ``read_authorization`` makes one from what is written.

Theory of operation. A site belongs to an organisation, an organisation to groups. A group says what its sites
accept (rules) and what each role may do on them (rights). Where several groups or roles speak, the most generous
word counts: one explicit true grants; else one explicit false denies; else the default stands. A right that is
tied to the own organisation is never granted elsewhere, whatever is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rondo.base.errors import NotFound
from rondo.base.options import nearest
from rondo.policy.definitions import Right, Rule


@dataclass(frozen=True)
class User:
    """Somebody with a name (the common name of a certificate), an organisation and roles."""

    name: str
    org: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """What the sites of its organisations accept, and what each role may do on them; only what is explicit."""

    desc: str
    rules: Mapping[str, bool]
    role_rights: Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True)
class Policy:
    """A policy that holds together: every name in it is defined (``read_authorization`` saw to that)."""

    roles: Mapping[str, str]
    groups: Mapping[str, Group]
    orgs: Mapping[str, tuple[str, ...]]
    users: Mapping[str, User]
    sites: Mapping[str, str]
    rights: Mapping[str, Right]
    rules: Mapping[str, Rule]

    def user(self, name: str) -> User:
        """Raises ``NotFound`` for a user that the policy does not name."""
        if name not in self.users:
            raise NotFound(f'unknown user "{name}"', hint=nearest(name, self.users))
        return self.users[name]

    def org_of(self, site: str) -> str:
        """The organisation of a site. Raises ``NotFound`` for a site that the policy does not name."""
        if site not in self.sites:
            raise NotFound(f'unknown site "{site}"', hint=nearest(site, self.sites))
        return self.sites[site]

    def right(self, user: str, right: str, site: str) -> bool:
        """Whether the user has the right on the site, going by what is written (``super`` is no exception here).

        Raises ``NotFound`` for a user, right or site that the policy does not name.
        """
        if right not in self.rights:
            raise NotFound(f'unknown right "{right}"', hint=nearest(right, self.rights))
        who, org, definition = self.user(user), self.org_of(site), self.rights[right]
        if definition.own_org and who.org != org:
            return False
        said = (
            self.groups[group].role_rights.get(role, {}).get(right) for group in self.orgs[org] for role in who.roles
        )
        return _most_generous(said, definition.default)

    def rule(self, site: str, rule: str) -> bool:
        """What the site accepts. Raises ``NotFound`` for a site or rule that the policy does not name."""
        if rule not in self.rules:
            raise NotFound(f'unknown rule "{rule}"', hint=nearest(rule, self.rules))
        said = (self.groups[group].rules.get(rule) for group in self.orgs[self.org_of(site)])
        return _most_generous(said, self.rules[rule].default)


@dataclass(frozen=True)
class OpenPolicy:
    """The project does without authorization, and somebody said so: every admin may do everything.

    There is no other way to get that; a missing policy is not an open one.
    """


def _most_generous(said: Iterable[bool | None], default: bool) -> bool:
    explicit = [word for word in said if word is not None]
    return any(explicit) if explicit else default
