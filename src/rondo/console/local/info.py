"""Show where files are sent from, and where they go."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Row, Text
from rondo.console.here import Here


class Options(BaseOptions, frozen=True):
    """No arguments."""


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    there = (await here.session.facts("list_files"))["folder"]
    yield Text(f"Local Upload Source: {here.transfer_folder}")
    yield Text(f"Local Download Destination: {here.transfer_folder}")
    yield Text(f"Server Upload Destination: {there}")
    yield Text(f"Server Download Source: {there}")
