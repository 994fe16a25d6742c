"""Log out and leave the console."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Row, Text
from rondo.console.here import Here


class Options(BaseOptions, frozen=True):
    """No arguments."""


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    here.leave()
    yield Text("Bye bye")
