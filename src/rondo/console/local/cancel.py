"""Stop a transfer that goes on in the background. What has arrived is kept: the same command goes on with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import NotFound
from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Row, Text
from rondo.console.here import Here

SCOPE = "file_transfer"


class Options(BaseOptions, frozen=True):
    """``number``: as ``transfers`` shows it."""

    number: int


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    transfer = here.transfers.running.get(options.number)
    if transfer is None or transfer.task is None:
        raise NotFound(f"there is no transfer {options.number}", hint="transfers shows what there is")
    transfer.task.cancel()
    yield Text(f"{transfer.title} is stopped")
