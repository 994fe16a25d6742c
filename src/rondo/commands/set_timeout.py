"""Change how long clients have to answer a command (10 seconds at first).

A client that does not answer in time yields ``No replies``; the command is withdrawn and never carried out late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text

PERMISSION = "TRAIN"
SCOPE = "sys"
EXAMPLE = "30"
MOST = 86400.0


class Options(BaseOptions, frozen=True):
    """``timeout``: seconds, above 0 and at most 86400."""

    timeout: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    try:
        seconds = float(options.timeout)
    except ValueError:
        raise BadInput("timeout must be a number.") from None
    if not seconds > 0:  # nor is NaN
        raise BadInput("timeout must be > 0.")
    if seconds > MOST:
        raise BadInput(f"timeout must be at most {MOST:g}.")
    await desk.house.set_timeout(seconds)
    yield Text(f"admin command timeout has been set to: {seconds:g}")
    yield Facts({"timeout": seconds})
