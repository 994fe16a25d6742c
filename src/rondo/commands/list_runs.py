"""List the runs, newest first: id, run number, job, state, round, who submitted it, first error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from rondo.commands.desk import Desk, RunLine
from rondo.commands.rows import Facts, Row, Table
from rondo.commands.seam import NoArguments as Options

PERMISSION = "VIEW"
SCOPE = "runs"
EXAMPLE = ""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    lines = await desk.runs.listed()
    yield Table(
        ["RUN", "NUMBER", "JOB", "STATE", "ROUND", "BY", "ERROR"],
        [
            [r.id, _number(r), r.name, r.state, _round(r), r.by, str(r.error.get("error", "")) if r.error else ""]
            for r in lines
        ],
    )
    yield Facts({"runs": [msgspec.to_builtins(r) for r in lines]})


def _number(line: RunLine) -> int | str:
    return line.number if line.number > 0 else f"{-line.number} (deleted)"


def _round(line: RunLine) -> str:
    return "" if line.round is None else f"{line.round} of {line.num_rounds}"
