"""What is known of a run from its events: a pure state and the step from one state to the next.

Events are dicts ``{"number", "at", "run", "kind", "data"}`` as the ledger numbers them. They may come twice (a
stream that is taken up again) and from other runs; kinds that nobody knows here change nothing. What people wrote
or printed is made harmless before it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rondo.console.telling import clean, real, telling, text, whole

Event = Mapping[str, Any]
Data = Mapping[str, Any]
Mark = Literal["", "good", "bad", "line"]

KEPT = 200  # messages


@dataclass(frozen=True)
class Seat:
    """One client: what it is ``doing``, how far it is (None where unknown), what it last measured and gave."""

    doing: str = "here"
    fraction: float | None = None
    detail: str = ""
    away: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    contributions: int = 0


@dataclass(frozen=True)
class Waiting:
    """``clients`` who are waited for, ``since`` when (epoch seconds), why, and what happens then."""

    clients: tuple[str, ...]
    since: float
    why: str
    then: str


@dataclass(frozen=True)
class Message:
    at: float
    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Board:
    """Everything the live view shows. ``first`` <= round < ``rounds``; ``means``: of ``metric`` by committed round.

    Times are epoch seconds; ``took``: seconds of every committed training round.
    """

    metric: str = ""
    run: int = 0
    job: str = ""
    state: str = ""
    first: int = 0
    round: int | None = None
    rounds: int = 0
    committed: int = 0
    seats: Mapping[str, Seat] = field(default_factory=dict)
    means: tuple[float, ...] = ()
    best: float | None = None
    best_version: int = 0
    took: tuple[float, ...] = ()
    waiting: Waiting | None = None
    started: float | None = None
    opened: float | None = None
    ended: float | None = None
    failure: Data = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    said: int = 0
    number: int = 0

    def left(self, now: float) -> float | None:
        """Seconds that the rounds to come will take, judged by the last five; None where nothing can be said."""
        if not self.took or self.state != "running":
            return None
        recent = self.took[-5:]
        spent = now - self.opened if self.opened is not None else 0.0
        return max(0.0, sum(recent) / len(recent) * (self.rounds - self.first - self.committed) - spent)


def step(board: Board, event: Event) -> Board:
    """The board after ``event``."""
    number, run, kind = whole(event, "number"), whole(event, "run"), text(event, "kind")
    if (number and number <= board.number) or (run and board.run and run != board.run):
        return board
    at = real(event, "at")
    found = event.get("data")
    data: Data = found if isinstance(found, Mapping) else {}
    known = _STEPS.get(kind)
    after = known(board, data, at) if known is not None else board
    started = board.started if board.started is not None or not run else at
    after = replace(after, number=max(number, board.number), run=board.run or run, started=started)
    if kind == "run_finished":
        return noted(after, at, f"the run is finished{_best_of(after)}", "good")
    return noted(after, at, *telling(kind, data, after.metric))


def noted(board: Board, at: float, words: str, mark: Mark = "") -> Board:
    """The board with one more message; an empty one changes nothing."""
    if not words:
        return board
    messages = (*board.messages, Message(at, clean(words), mark))[-KEPT:]
    return replace(board, messages=messages, said=board.said + 1)


# ---- runs and rounds


def _submitted(board: Board, data: Data, at: float) -> Board:
    return replace(board, state="submitted", job=text(data, "job") or board.job, rounds=whole(data, "rounds"))


def _state(name: str) -> Callable[[Board, Data, float], Board]:
    def become(board: Board, data: Data, at: float) -> Board:
        return replace(board, state=name, rounds=whole(data, "rounds") or board.rounds, waiting=None)

    return become


def _running(board: Board, data: Data, at: float) -> Board:
    return replace(_state("running")(board, data, at), first=whole(data, "round"))


def _ended(name: str) -> Callable[[Board, Data, float], Board]:
    def end(board: Board, data: Data, at: float) -> Board:
        seats = {client: replace(seat, doing="", fraction=None) for client, seat in board.seats.items()}
        failure = dict(data) if name == "failed" else {}
        return replace(board, state=name, ended=at, failure=failure, waiting=None, seats=seats)

    return end


def _opened(board: Board, data: Data, at: float) -> Board:
    seats = {
        client: seat if seat.doing in ("failed", "stopped", "gone") else replace(seat, doing="due", fraction=None)
        for client, seat in board.seats.items()
    }
    rounds = whole(data, "rounds") or board.rounds
    return replace(board, round=whole(data, "round"), rounds=rounds, opened=at, waiting=None, seats=seats)


def _waits(board: Board, data: Data, at: float) -> Board:
    clients = data.get("for")
    names = tuple(clean(str(client)) for client in clients) if isinstance(clients, list | tuple) else ()
    since = board.waiting.since if board.waiting is not None else at  # the same wait, though fewer are waited for
    return replace(board, waiting=Waiting(names, since, text(data, "why"), text(data, "then")))


def _folding(board: Board, data: Data, at: float) -> Board:
    return replace(board, waiting=None)


def _committed(board: Board, data: Data, at: float) -> Board:
    metrics = _metrics(data)
    metric = board.metric or min(metrics, default="")
    means = (*board.means, metrics[metric]) if metric in metrics else board.means
    board = replace(board, metric=metric, means=means, waiting=None, opened=None)
    if text(data, "task") == "validate":
        return board
    return replace(board, committed=board.committed + 1, took=(*board.took, real(data, "seconds")))


def _best_of(board: Board) -> str:
    if board.best is None:
        return ""
    return f"; best {board.metric} {board.best:.4g} (version {board.best_version})"


def _best(board: Board, data: Data, at: float) -> Board:
    return replace(board, best=real(data, "value"), best_version=whole(data, "version"))


# ---- clients


def _seat(board: Board, data: Data, **changes: Any) -> Board:
    client = text(data, "client")
    if not client:
        return board
    seat = replace(board.seats.get(client, Seat()), **changes)
    return replace(board, seats={**board.seats, client: seat})


def _becomes(doing: str) -> Callable[[Board, Data, float], Board]:
    return lambda board, data, at: _seat(board, data, doing=doing, fraction=None, away=False)


def _joined(board: Board, data: Data, at: float) -> Board:
    done = board.seats.get(text(data, "client"), Seat()).doing == "done"  # what it gave is kept, though it is new
    return _seat(board, data, doing="done" if done else "here", fraction=None, away=False)


def _away(board: Board, data: Data, at: float) -> Board:
    return _seat(board, data, away=True)


def _back(board: Board, data: Data, at: float) -> Board:
    return _seat(board, data, away=False)


def _progress(board: Board, data: Data, at: float) -> Board:
    if "round" in data and board.round is not None and whole(data, "round") < board.round:
        return board  # a note that was overtaken by the next round
    share = real(data, "fraction")
    fraction = min(share, 1.0) if share > 0 else None
    return _seat(board, data, doing=text(data, "phase"), fraction=fraction, detail=text(data, "detail"), away=False)


def _accepted(board: Board, data: Data, at: float) -> Board:
    seat = board.seats.get(text(data, "client"), Seat())
    count = seat.contributions + (text(data, "task") != "validate")
    metrics = _metrics(data) or seat.metrics
    return _seat(board, data, doing="done", fraction=None, away=False, metrics=metrics, contributions=count)


def _metrics(data: Data) -> dict[str, float]:
    found = data.get("metrics")
    return {clean(str(name)): real(found, name) for name in found} if isinstance(found, Mapping) else {}


_STEPS: Mapping[str, Callable[[Board, Data, float], Board]] = {
    "run_submitted": _submitted,
    "run_dispatching": _state("dispatching"),
    "run_running": _running,
    "run_validating": _state("validating"),
    "run_finished": _ended("finished"),
    "run_failed": _ended("failed"),
    "run_aborted": _ended("aborted"),
    "round_opened": _opened,
    "waiting": _waits,
    "round_folding": _folding,
    "round_committed": _committed,
    "new_best": _best,
    "client_joined": _joined,
    "client_prepared": _becomes("ready"),
    "client_failed": _becomes("failed"),
    "client_stopped": _becomes("stopped"),
    "client_gone": _becomes("gone"),
    "client_away": _away,
    "client_back": _back,
    "task_failed": _becomes("sits out"),
    "progress": _progress,
    "update_accepted": _accepted,
    "update_refused": _becomes("refused"),
}
