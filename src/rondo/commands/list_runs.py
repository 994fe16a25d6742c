"""List the runs, newest first: id, run number, job, state, round, who submitted it, first error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from rondo.commands.desk import Desk, RunLine
from rondo.commands.rows import Facts, Row, Table
from rondo.commands.seam import NoArguments as Options

PERMISSION = "VIEW"
SCOPE = "runs"
EXAMPLE = ""
HEAD = ("run", "number", "job", "state", "round", "by", "error")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    lines = await desk.runs.listed()
    yield Table([word.upper() for word in HEAD], [cells(line) for line in lines])
    yield Facts({"runs": [msgspec.to_builtins(r) for r in lines]})


def cells(line: RunLine) -> list[Any]:
    """A run under ``HEAD``."""
    number = line.number if line.number > 0 else f"{-line.number} (deleted)"
    where = "" if line.round is None else f"{line.round} of {line.num_rounds}"
    return [line.id, number, line.name, line.state, where, line.by, str((line.error or {}).get("error", ""))]
