"""Who may do what, asked at each door that changes something: the policy with the words that Clara's users know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rondo.base.errors import Refused
from rondo.jobs.facts import PackageFacts
from rondo.policy.actions import Action, authorize
from rondo.policy.policy import OpenPolicy, Policy

SERVER = ("server",)


@dataclass(frozen=True)
class Rights:
    """``policy``: the project's, or the open one of a project that was provisioned without authorization."""

    policy: Policy | OpenPolicy

    def check(
        self, user: str, action: Action, sites: Sequence[str] = SERVER, facts: PackageFacts | None = None
    ) -> None:
        """Return where ``user`` may do this on all of ``sites``. Raises ``Refused``."""
        try:
            authorize(self.policy, user, action, sites, facts)
        except Refused as error:
            raise Refused(f"Authorization Error: {error.what}", hint=error.hint) from None
