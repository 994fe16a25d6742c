"""Rows of an answer travel together: a message for each would cost a third of a millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

PACK = 64 * 1024  # bytes after which a pack is full: some milliseconds of making rows, then others have their turn


async def packs(rows: AsyncGenerator[bytes, None], full: int = PACK) -> AsyncGenerator[list[bytes], None]:
    """``rows`` in their order, all that were made while the pack before was sent in one list, unless that
    were more than ``full`` bytes.

    No row waits for another one that is not there yet. What ``rows`` raises comes after the rows before it.
    """
    made: list[bytes] = []
    some, room = asyncio.Event(), asyncio.Event()

    async def collect() -> None:
        size = 0
        try:
            async with aclosing(rows):
                async for row in rows:
                    if made and size + len(row) > full:
                        room.clear()
                        await room.wait()
                    size = len(row) + (size if made else 0)
                    made.append(row)
                    some.set()
        finally:
            some.set()

    collecting = asyncio.create_task(collect())
    try:
        while made or not collecting.done():
            await some.wait()
            some.clear()
            pack = made[:]
            made.clear()
            room.set()
            if pack:
                yield pack
        await collecting
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
