"""``python -m tests.real.crowd KIT...``: a real client for each of these kits, all in one process, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from rondo.cli.programs import LINE, VERSION, open_kit, until_signalled
from rondo.client.app import join


async def crowd(kits: list[Path]) -> None:
    async with until_signalled() as stop, asyncio.TaskGroup() as clients:
        for kit in kits:
            clients.create_task(join(open_kit(kit, "client"), VERSION, None, stop))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format=LINE)
    asyncio.run(crowd([Path(kit) for kit in sys.argv[1:]]))
