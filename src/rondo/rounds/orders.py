"""What a waiting client is told next: the first thing that should be different from what it has in hand.

Pure and level-triggered: computed afresh from the ledger's facts at every waiting call, so an order that was lost
with a connection, a killed client or a killed server is simply given again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TRAINING = ("invited", "preparing", "prepared")  # states of a participant that trains, or will
TAKING_PART = (*TRAINING, "validating")  # and of one whose training was aborted, for cross-site validation


@dataclass(frozen=True)
class Holding:
    """What the client says it has in hand. ``run`` 0: nothing; ``phase``: idle, preparing, ready, working, failed."""

    run: int
    phase: str
    round: int
    task: str


@dataclass(frozen=True)
class OpenRound:
    """The round that is open (or was, last): ``answered``: this client has contributed to it or sits it out, or it
    is not for this client."""

    round: int
    task: str
    state: str  # open, folding, committed, failed
    answered: bool


@dataclass(frozen=True)
class Facts:
    """What the ledger says about one client. ``run`` 0: it takes part in none; ``part``: its participant state."""

    leave: str = ""
    ask: bool = False
    run: int = 0
    part: str = ""
    open_round: OpenRound | None = None


@dataclass(frozen=True)
class Leave:
    restart: bool


@dataclass(frozen=True)
class Ask:
    pass


@dataclass(frozen=True)
class Recall:
    run: int


@dataclass(frozen=True)
class Engage:
    run: int


@dataclass(frozen=True)
class Work:
    run: int
    round: int
    task: str


@dataclass(frozen=True)
class Nothing:
    waiting_for: str


Order = Leave | Ask | Recall | Engage | Work | Nothing


def next_order(facts: Facts, holding: Holding) -> Order:
    """The order for a client that holds ``holding`` while ``facts`` are true.

    A client that was invited anew while it still holds the run begins anew: its package may be another one. So does
    one whose training was aborted: then it only validates.
    """
    takes_part = facts.run and facts.part in TAKING_PART
    if facts.leave:
        return Leave(facts.leave == "restart")
    if facts.ask:
        return Ask()
    if holding.run and (
        holding.run != facts.run or not takes_part or facts.part == "invited" or _trains(facts, holding)
    ):
        return Recall(holding.run)
    if not takes_part:
        return Nothing(_no_part(facts))
    return _task(facts, holding) if holding.run else Engage(facts.run)


def _trains(facts: Facts, holding: Holding) -> bool:
    """Whether it does what it is not to do any more: it is engaged anew afterwards, and only validates."""
    return facts.part == "validating" and holding.phase == "working" and holding.task == "train"


def _no_part(facts: Facts) -> str:
    return f"run {facts.run} goes on without this client ({facts.part})" if facts.run else "a run to take part in"


def _task(facts: Facts, holding: Holding) -> Order:
    this = facts.open_round
    if holding.phase == "working":
        return Nothing(f"this client's own work on round {holding.round}")
    if holding.phase != "ready":
        return Nothing("this client's own preparation")
    if this is None:
        return Nothing("the first round to open")
    if this.state != "open":
        return Nothing(f"round {this.round} to end" if this.state == "folding" else "the next round to open")
    if this.answered:
        return Nothing(f"the others, in round {this.round}")
    return Work(facts.run, this.round, this.task)


def failure(
    error: str, *, site: str = "", round_number: int = -1, detail: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A failure as it is stored and shown: ``error`` is the line a person reads first."""
    return {"error": error, "site": site, "round": round_number, **(detail or {})}
