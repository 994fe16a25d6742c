"""What a round is told, and what it asks for in return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TimerName = Literal["grace", "round"]


# ---- events: news for a round


@dataclass(frozen=True)
class ClientJoined:
    """This client can take part: it is logged in and its worker is prepared."""

    client: str


@dataclass(frozen=True)
class ClientLeft:
    """This client will not answer: it quit, was removed, aborted or failed to prepare."""

    client: str


@dataclass(frozen=True)
class UpdateArrived:
    """Its contribution is verified and recorded."""

    client: str


@dataclass(frozen=True)
class TaskFailed:
    """It tried, and sits this round out."""

    client: str
    failure: Mapping[str, Any]


@dataclass(frozen=True)
class TimeUp:
    timer: TimerName


@dataclass(frozen=True)
class Folded:
    """The updates have been folded into one model (or, for a validate round, the metrics into one table)."""


@dataclass(frozen=True)
class FoldFailed:
    failure: Mapping[str, Any]


@dataclass(frozen=True)
class Aborted:
    reason: str


@dataclass(frozen=True)
class NobodyTrains:
    """The training of everybody was aborted; what is left is cross-site validation."""


Event = ClientJoined | ClientLeft | UpdateArrived | TaskFailed | TimeUp | Folded | FoldFailed | Aborted | NobodyTrains


# ---- commands: what a round wants done


@dataclass(frozen=True)
class SetTimer:
    timer: TimerName
    seconds: float


@dataclass(frozen=True)
class NoteEnough:
    """min_clients have answered; the grace wait counts from now."""


@dataclass(frozen=True)
class Fold:
    """Close the round to further updates and fold what was accepted."""


@dataclass(frozen=True)
class Commit:
    """Make the folded result the next version."""


@dataclass(frozen=True)
class Fail:
    failure: Mapping[str, Any]


@dataclass(frozen=True)
class Abandon:
    reason: str


@dataclass(frozen=True)
class Leave:
    """Without a result, and no failure of the run."""


@dataclass(frozen=True)
class Announce:
    """What the round waits for has changed."""


Command = SetTimer | NoteEnough | Fold | Commit | Fail | Abandon | Leave | Announce
