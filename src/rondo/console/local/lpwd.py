"""Print the console's working directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Row, Text
from rondo.console.here import Here


class Options(BaseOptions, frozen=True):
    """No arguments."""


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    yield Text(str(Path.cwd()))
