"""The live view of a run: one line a client, the mean metric as it grows, the last messages.

Where the output is no terminal, one plain line for each message instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rondo.base.clock import Clock, SystemClock
from rondo.console.board import Board, Event, Message, Seat, noted, step
from rondo.rounds.states import OPEN

SHOWN = 8  # messages
BAR = 24  # characters of a full bar
_SPARKS = "▁▂▃▄▅▆▇█"
_MARKS = {"": "", "good": "green", "bad": "red", "line": "dim"}
_STATES = {"finished": "bold green", "failed": "bold red", "aborted": "bold yellow"}


class LiveView:
    """Feed it events; it draws. Use it as a context manager: at the end the last picture stays on the screen."""

    def __init__(self, console: Console, board: Board | None = None, clock: Clock | None = None) -> None:
        self.board = board if board is not None else Board()
        self._console = console
        self._clock = clock if clock is not None else SystemClock()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def feed(self, event: Event) -> None:
        """Take one event of the run's stream."""
        self._show(step(self.board, event))

    def note(self, words: str) -> None:
        """Say something that is no event of the run: what the program itself does."""
        self._show(noted(self.board, self._clock.now(), words))

    def _show(self, after: Board) -> None:
        new = after.messages[-(after.said - self.board.said) :] if after.said > self.board.said else ()
        self.board = after
        if self._live is None:
            for message in new:
                self._console.print(Text(plain(after, message)), soft_wrap=True)

    def _picture(self) -> RenderableType:
        return render(self.board, self._clock.now())


def plain(board: Board, message: Message) -> str:
    """``   12.3 s  round 3 is done: ...``"""
    since = message.at - board.started if board.started is not None else 0.0
    return f"{max(0.0, since):7.1f} s  {message.text}"


def render(board: Board, now: float) -> RenderableType:
    """The whole picture at ``now`` (epoch seconds)."""
    top = (_head(board), _rounds(board, now), _waits(board, now), Text(""))
    return Group(*top, _seats(board), _curve(board), _messages(board))


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The last ``width`` values as one row of blocks, from their least to their greatest."""
    last = values[-width:]
    if not last:
        return ""
    low, span = min(last), max(last) - min(last)
    if span <= 0.0:
        return _SPARKS[3] * len(last)
    return "".join(_SPARKS[round((value - low) / span * 7)] for value in last)


def _head(board: Board) -> Text:
    style = _STATES.get(board.state, "bold cyan")
    run = f"run {board.run}" if board.run else "no run yet"
    return Text.assemble(("Rondo", "bold"), f"  {run}  ", (board.job, "bold"), "  ", (board.state, style))


def _rounds(board: Board, now: float) -> Text:
    total = max(0, board.rounds - board.first)
    line = _bar(board.committed / total if total else 0.0)
    line.append(f"  {board.committed} of {total} rounds")
    if board.round is not None and board.state == "running":
        line.append(f", in round {board.round}", "dim")
    if board.started is not None:
        line.append(f"  {_clock((board.ended or now) - board.started)}")
    left = board.left(now)
    if left is not None:
        line.append(f", about {_clock(left)} to go", "dim")
    return line


def _waits(board: Board, now: float) -> Text:
    waiting = board.waiting
    if waiting is None or board.state not in OPEN:
        return Text("")
    who = ", ".join(waiting.clients) or "clients"
    line = Text(overflow="ellipsis", no_wrap=True)
    line.append(f"waiting {max(0.0, now - waiting.since):.0f} s for {who}", "yellow").append(
        "".join(f"; {part}" for part in (waiting.why, waiting.then) if part), "dim"
    )
    return line


def _seats(board: Board) -> Table:
    names = sorted({name for seat in board.seats.values() for name in seat.metrics})
    names.sort(key=lambda name: name != board.metric)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("client", no_wrap=True)
    table.add_column("", min_width=BAR + 20, no_wrap=True)
    for name in names[:3]:
        table.add_column(Text(name), justify="right", min_width=6)
    table.add_column("updates", justify="right")
    for client in sorted(board.seats):
        seat = board.seats[client]
        figures = [Text(f"{seat.metrics[name]:.3f}" if name in seat.metrics else "") for name in names[:3]]
        table.add_row(Text(client, "bold"), _doing(board, seat), *figures, Text(str(seat.contributions)))
    return table


def _doing(board: Board, seat: Seat) -> Text:
    if seat.away:
        return Text(f"away ({seat.doing})" if seat.doing not in ("", "here", "due") else "away", "red")
    if seat.fraction is not None:
        line = _bar(seat.fraction)
        return line.append(f" {seat.doing} {seat.fraction:.0%}{f' {seat.detail}' if seat.detail else ''}")
    if seat.doing == "done":
        clients = board.waiting.clients if board.waiting is not None else ()
        return Text(f"done, waiting for {', '.join(clients)}" if clients else "done", "green")
    style = "red" if seat.doing in ("failed", "refused", "gone", "stopped", "sits out") else "dim"
    return Text({"due": "waiting for its task"}.get(seat.doing, seat.doing), style)


def _curve(board: Board) -> Text:
    if not board.means:
        return Text("")
    # The first value is an untrained model's: it would press all that follow into one height.
    shown = board.means[1:] if len(board.means) > 2 else board.means
    line = Text("\n").append(f"mean {board.metric}  ", "dim").append(sparkline(shown), "cyan")
    line.append(f"  {board.means[-1]:.4f}", "bold")
    if board.best is not None:
        line.append(f"  best {board.best:.4f} (version {board.best_version})", "dim")
    return line


def _messages(board: Board) -> Group:
    shown = board.messages[-SHOWN:]
    lines = [Text(plain(board, message), _MARKS[message.mark], overflow="ellipsis", no_wrap=True) for message in shown]
    return Group(Text(""), *lines)


def _bar(fraction: float) -> Text:
    full = round(max(0.0, min(1.0, fraction)) * BAR)
    return Text.assemble(("━" * full, "cyan"), ("━" * (BAR - full), "bright_black"))


def _clock(seconds: float) -> str:
    whole = int(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
