"""Show the files that are on their way, each with the number by which cancel stops it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Row, Text
from rondo.console.here import Here

SCOPE = "file_transfer"


class Options(BaseOptions, frozen=True):
    """No arguments."""


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    if not here.transfers.running:
        yield Text("Nothing is on its way.")
    for number, line in zip(here.transfers.running, here.transfers.lines(), strict=True):
        yield Text(f"{number}  {line}")
