"""Choose the run number (the folder ``run_N``) that deploy and start work in.

A number that was used before may be used again: what is in its folder stays there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "1"
MOST = 10**9  # it travels in 32 bits


class Options(BaseOptions, frozen=True):
    """``run_number``: an integer, 1 to 1000000000."""

    run_number: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    try:
        number = int(options.run_number)
    except ValueError:
        raise BadInput("run number must be an integer.") from None
    if number <= 0:
        raise BadInput("run number must be > 0.")
    if number > MOST:
        raise BadInput(f"run number must be at most {MOST}.")
    existed = await desk.folders.set_number(number)
    if existed:
        yield Text(f"run number already exists. Set the FL run number to {number}.")
    else:
        yield Text(f"Create a new run folder: run_{number}")
    yield Facts({"run_number": number, "existed": existed})
