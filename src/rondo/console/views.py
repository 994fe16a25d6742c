"""Where a run is drawn while it goes on: in the output of a notebook's cell, else in the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console

from rondo.base.clock import Clock
from rondo.console.board import Board, Event, step
from rondo.console.live import LiveView, render

WIDTH = 110  # characters, in a notebook
_PAGE = '<pre style="line-height: 1.2; font-family: monospace">{code}</pre>'


class View(Protocol):
    """Takes the events of a run, draws what is known by then."""

    def feed(self, event: Event) -> None: ...


class NotebookView:
    """Draws over what it has drawn before, in the output of the cell."""

    def __init__(self, display: Any, clock: Clock) -> None:
        self._board = Board()
        self._clock = clock
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def feed(self, event: Event) -> None:
        """Take one event of the run's stream."""
        self._board = step(self._board, event)
        plain, page = pictures(self._board, self._clock.now())
        self._handle.update({"text/plain": plain, "text/html": page}, raw=True)


@contextmanager
def viewing(clock: Clock) -> Iterator[View]:
    """Draw where this program's output is looked at."""
    ipython = sys.modules.get("IPython")  # a notebook has it
    shell = ipython.get_ipython() if ipython is not None else None
    if ipython is not None and hasattr(shell, "kernel"):
        yield NotebookView(ipython.display.display, clock)
        return
    with LiveView(Console(), clock=clock) as view:
        yield view


def pictures(board: Board, now: float) -> tuple[str, str]:
    """The board as text and as HTML, in which every text is escaped."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False)
    console.print(render(board, now))
    return console.export_text(clear=False), console.export_html(inline_styles=True, code_format=_PAGE)
