"""Follow a run live, from its beginning to its end; Ctrl-C leaves the view, the run goes on.

Without a run: the one that is under way, else the newest. A view that was left, or lost with its console, is taken
up again by the same command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict

from rich.console import Console

from rondo.base.errors import NotFound
from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import RunId
from rondo.console.board import Board, step
from rondo.console.here import Here
from rondo.console.live import LiveView, plain
from rondo.rounds.states import OPEN

SCOPE = "runs"


class Options(BaseOptions, frozen=True):
    """``run_id``: as ``list_runs`` shows it."""

    run_id: RunId | None = None


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    run = options.run_id or await _latest(here)
    if here.lines.interactive and here.out.on_screen:
        here.out.write("Ctrl-C leaves this view; the run goes on.")
        with LiveView(Console()) as view:
            async with aclosing(here.session.watch(run)) as events:
                async for event in events:
                    view.feed(asdict(event))
        board = view.board
    else:
        board = Board()
        async with aclosing(here.session.watch(run)) as events:
            async for event in events:
                after = step(board, asdict(event))
                new = after.messages[-(after.said - board.said) :] if after.said > board.said else ()
                board = after
                for message in new:
                    yield Text(plain(board, message))
    yield Facts({"run": run, "state": board.state})


async def _latest(here: Here) -> int:
    """The run that is under way, else the newest."""
    runs = (await here.session.facts("list_runs"))["runs"]
    if not runs:
        raise NotFound("there is no run yet", hint="submit_job FOLDER")
    under_way = [run for run in runs if run["state"] in OPEN]
    return int((under_way[-1] if under_way else runs[0])["id"])
