"""One round, decided: open, enough, grace, late, aborted, committed, failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rondo.rounds import events as e


class State(StrEnum):
    OPEN = "open"  # fewer than min_clients have answered
    GRACE = "grace"  # enough have; the others get a little longer
    FOLDING = "folding"
    COMMITTED = "committed"
    FAILED = "failed"
    ABORTED = "aborted"
    LEFT = "left"  # nobody trains any more: the run goes on behind the last round


@dataclass(frozen=True)
class Plan:
    """``wait_after_min`` and ``timeout`` in seconds from now; ``timeout`` None: the round waits as long as it takes.
    ``grace``: why it waits after enough have answered, and what then."""

    min_clients: int
    wait_after_min: float
    timeout: float | None = None
    grace: tuple[str, str] = ("enough have answered; the others get a little longer", "aggregates without them")


@dataclass(frozen=True)
class Waiting:
    """What a round waits for, to be shown to whoever asks."""

    clients: tuple[str, ...]
    why: str
    then: str


class Round:
    """One round: from the moment it opens until it is committed, has failed or was aborted.

    Theory of operation. ``able`` clients may answer; each answers once, with an update or a failure. When
    ``min_clients`` updates have come, the round folds at once if nobody is left to wait for, else after the grace
    wait or as soon as the last able client has answered (Clara waited the grace out in any case). A round timeout
    closes it with what it has if that suffices; otherwise the round says so and folds with the update that makes
    it suffice. A round that has seen a failure and can no longer reach ``min_clients`` fails with the first
    failure; without any failure it waits, because somebody may still log in. It ends exactly once: news after
    that, and updates after folding began, change nothing.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = State.OPEN
        self.able: set[str] = set()
        self.answered: set[str] = set()
        self.failures: dict[str, Mapping[str, Any]] = {}
        self.overdue = False

    def open(self) -> list[e.Command]:
        timer: list[e.Command] = [] if self.plan.timeout is None else [e.SetTimer("round", self.plan.timeout)]
        return [*timer, e.Announce()]

    @property
    def over(self) -> bool:
        return self.state in (State.COMMITTED, State.FAILED, State.ABORTED, State.LEFT)

    @property
    def pending(self) -> set[str]:
        """Who may still answer."""
        return self.able - self.answered - self.failures.keys()

    def handle(self, event: e.Event) -> list[e.Command]:
        match self.state, event:
            case ((State.OPEN | State.GRACE | State.FOLDING), e.Aborted(reason)):
                self.state = State.ABORTED
                return [e.Abandon(reason)]
            case State.FOLDING, e.Folded():
                self.state = State.COMMITTED
                return [e.Commit()]
            case State.FOLDING, e.FoldFailed(failure):
                self.state = State.FAILED
                return [e.Fail(failure)]
            case State.OPEN, e.NobodyTrains() if self.plan.min_clients > len(self.answered):
                self.state = State.LEFT
                return [e.Leave()]
            case ((State.OPEN | State.GRACE), _):
                self._take_note(event)
                return self._progress()
        return []

    def _take_note(self, event: e.Event) -> None:
        match event:
            case e.ClientJoined(client):
                self.able.add(client)
            case e.ClientLeft(client):
                self.able.discard(client)
            case e.UpdateArrived(client):
                self.answered.add(client)
                self.failures.pop(client, None)  # it came through after all
            case e.TaskFailed(client, failure) if client not in self.answered:
                self.failures.setdefault(client, failure)
            case e.TimeUp("round"):
                self.overdue = True
            case e.TimeUp("grace") if self.state is State.GRACE:  # no grace before there are enough
                self.overdue = True

    def _progress(self) -> list[e.Command]:
        enough = len(self.answered) >= self.plan.min_clients
        if enough and (not self.pending or self.overdue or self.plan.wait_after_min <= 0):
            self.state = State.FOLDING
            return [e.Fold()]
        if enough and self.state is State.OPEN:
            self.state = State.GRACE
            return [e.NoteEnough(), e.SetTimer("grace", self.plan.wait_after_min), e.Announce()]
        if not enough and self.failures and len(self.answered) + len(self.pending) < self.plan.min_clients:
            self.state = State.FAILED
            return [e.Fail(next(iter(self.failures.values())))]
        return [e.Announce()]

    def waiting(self) -> Waiting:
        missing = self.plan.min_clients - len(self.answered)
        clients = tuple(sorted(self.pending))
        match self.state:
            case State.OPEN if self.overdue:
                return Waiting(
                    clients,
                    f"round timeout passed; {missing} more needed",
                    "aggregates with the update that suffices",
                )
            case State.OPEN if missing > len(clients):
                return Waiting(
                    clients,
                    f"{missing} more needed, {len(clients)} can answer",
                    "waits for another client to log in",
                )
            case State.OPEN:
                return Waiting(clients, f"{missing} more needed", "aggregates when enough have answered")
            case State.GRACE:
                return Waiting(clients, *self.plan.grace)
        return Waiting((), self.state.value, "")
