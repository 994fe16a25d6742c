"""Choose the run number (the folder ``run_N``) that deploy and start work in.

A number that was used before may be used again: what is in its folder stays there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands._numbers import run_number
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "1"


class Options(BaseOptions, frozen=True):
    """``run_number``: an integer, 1 to 1000000000."""

    run_number: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    number = run_number(options.run_number)
    existed = await desk.folders.set_number(number)
    if existed:
        yield Text(f"run number already exists. Set the FL run number to {number}.")
    else:
        yield Text(f"Create a new run folder: run_{number}")
    yield Facts({"run_number": number, "existed": existed})
