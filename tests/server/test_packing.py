"""Rows of an answer in packs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from rondo.base.errors import Conflict
from rondo.server.packing import packs


async def test_what_is_there_goes_together_in_order_up_to_a_full_pack() -> None:
    async def rows() -> AsyncGenerator[bytes, None]:
        for number in range(10):
            yield f"row {number}".encode()
        yield bytes(100)
        yield b"last"

    got = [pack async for pack in packs(rows(), full=20)]
    assert [len(pack) for pack in got] == [4, 4, 2, 1, 1]
    assert [row for pack in got for row in pack] == [*(f"row {n}".encode() for n in range(10)), bytes(100), b"last"]


async def test_no_row_waits_for_the_next_one() -> None:
    going = asyncio.Event()

    async def rows() -> AsyncGenerator[bytes, None]:
        yield b"first"
        await going.wait()
        yield b"second"

    async with aclosing(packs(rows())) as found:
        assert await anext(found) == [b"first"]
        going.set()
        assert await anext(found) == [b"second"]


async def test_an_error_comes_after_the_rows_before_it() -> None:
    async def rows() -> AsyncGenerator[bytes, None]:
        yield b"first"
        raise Conflict("not now")

    got = []
    with pytest.raises(Conflict, match="not now"):
        async for pack in packs(rows()):
            got.append(pack)
    assert got == [[b"first"]]


async def test_the_rows_are_made_no_further_than_a_pack_ahead_and_end_with_who_asked() -> None:
    made, ended = 0, asyncio.Event()

    async def rows() -> AsyncGenerator[bytes, None]:
        nonlocal made
        try:
            while True:
                made += 1
                yield bytes(10)
        finally:
            ended.set()

    async with aclosing(packs(rows(), full=50)) as found:
        assert await anext(found) == [bytes(10)] * 5
        assert await anext(found) == [bytes(10)] * 5
    assert ended.is_set() and made <= 16


async def test_nothing_made_is_no_pack() -> None:
    async def rows() -> AsyncGenerator[bytes, None]:
        for row in ():
            yield row

    assert [pack async for pack in packs(rows())] == []
