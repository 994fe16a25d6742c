"""The ledger's thread: one thing after the other, errors where they were asked for, nothing torn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from rondo.base.errors import Conflict, RondoError
from rondo.ledger.thread import OneThread


@pytest.fixture
def thread() -> Iterator[OneThread]:
    made = OneThread("one")
    yield made
    made.close()


async def test_it_works_in_the_order_it_was_asked_and_everybody_hears_of_their_own(thread: OneThread) -> None:
    gate, seen = threading.Event(), list[int]()

    def work(number: int) -> int:
        gate.wait()
        seen.append(number)
        if number == 3:
            raise Conflict("three")
        return 10 * number

    asked = [asyncio.create_task(thread.run(lambda number=number: work(number))) for number in range(6)]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert isinstance(found.pop(3), Conflict)
    assert found == [0, 10, 20, 40, 50]


async def test_what_nobody_waits_for_any_more_is_done_to_its_end(thread: OneThread) -> None:
    gate, done = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        done.set()

    asked = asyncio.create_task(thread.run(work))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert not done.is_set()
    gate.set()
    assert await thread.run(done.is_set), "asked later, and so done later"


async def test_what_is_asked_after_the_end_is_refused_and_not_waited_for_for_ever() -> None:
    made, seen = OneThread("ledger"), list[int]()
    asked = asyncio.create_task(made.run(lambda: seen.append(1)))
    await asyncio.sleep(0)
    made.close()
    with pytest.raises(RondoError, match="the ledger is closed"):
        await made.run(lambda: seen.append(2))
    await asked
    assert seen == [1]


def test_an_event_loop_that_ended_meanwhile_does_not_end_the_thread(thread: OneThread) -> None:
    gate = threading.Event()

    async def leaves() -> None:
        asked = asyncio.create_task(thread.run(gate.wait))
        await asyncio.sleep(0)
        asked.cancel()

    asyncio.run(leaves())
    gate.set()

    async def comes() -> str:
        return await thread.run(lambda: "here")

    assert asyncio.run(comes()) == "here"
