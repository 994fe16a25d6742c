"""Files take turns: a few move at a time, and whoever keeps its lane waiting leaves it to the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rondo.net.lanes import Lanes

FOREVER = 1e6  # seconds between looks: nobody looks


async def chunks(*gates: asyncio.Event) -> AsyncIterator[bytes]:
    for gate in gates:
        await gate.wait()
        yield b"chunk"


def opened() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


async def moved(held: Lanes, name: str, order: list[str], gate: asyncio.Event) -> None:
    async with held.lane() as lane:
        order.append(name)
        async for _ in lane.coming(chunks(gate)):
            pass
    order.append(f"{name} moved")


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_file_moves_when_one_has_moved_in_the_order_they_came() -> None:
    held, order, gate = Lanes(2, FOREVER), [], asyncio.Event()
    files = [asyncio.create_task(moved(held, name, order, gate)) for name in "abcd"]
    await settled()
    assert order == ["a", "b"]
    gate.set()
    await asyncio.gather(*files)
    assert [name for name in order if "moved" not in name] == list("abcd")


@pytest.mark.parametrize("way", ["coming", "going"])
async def test_a_file_that_waits_for_the_other_side_goes_on_beside_the_lanes(way: str) -> None:
    held, gate, left = Lanes(1, 0.01), asyncio.Event(), asyncio.Event()

    async def slow() -> int:
        count = 0
        async with held.lane() as lane:
            if way == "coming":
                async for _ in lane.coming(chunks(opened(), gate)):
                    count += 1
            else:
                async for _ in lane.going(chunks(opened(), opened())):
                    await gate.wait()  # this is the other side
                    count += 1
        return count

    file = asyncio.create_task(slow())
    async with held.lane():  # it would be waited for in vain, if the slow one kept its lane
        left.set()
    gate.set()
    assert left.is_set() and await file == 2


async def test_a_busy_file_keeps_its_lane() -> None:
    held = Lanes(1, FOREVER)
    async with held.lane() as lane:
        async for _ in lane.coming(chunks(*[opened()] * 5)):
            lane._look()  # as the clock would: hardly any of the time has been waiting
        assert not lane.left
    assert lane.left


@pytest.mark.parametrize(("busy", "waits", "leaves"), [(1.0, 0.7, False), (1.0, 1.0, True), (0.0, 0.7, True)])
async def test_a_slow_file_keeps_its_lane_while_this_process_is_busy(busy: float, waits: float, leaves: bool) -> None:
    computed = iter((0.0, busy * FOREVER, 2 * busy * FOREVER))
    held = Lanes(1, FOREVER, computed=lambda: next(computed))
    async with held.lane() as lane:
        lane._waited = waits * FOREVER
        lane._look()
        assert lane.left is leaves


async def test_a_lane_is_kept_for_whoever_asked() -> None:
    held = Lanes(1, FOREVER, FOREVER)
    await held.keep("a")
    waiting = asyncio.create_task(held.keep("b"))
    await settled()
    assert not waiting.done()
    async with held.lane("a"):  # at once: it was kept
        pass
    await waiting
    async with held.lane("b"):
        pass


async def test_whoever_does_not_come_loses_its_lane() -> None:
    held = Lanes(1, FOREVER, 0.0)
    await held.keep("a")
    async with held.lane("b"):
        pass
    async with held.lane("a"):  # comes after all, and gets another
        pass


async def test_whoever_gives_up_waiting_takes_no_lane() -> None:
    held = Lanes(1, FOREVER)
    async with held.lane():
        waiting = asyncio.create_task(held.keep("a"))
        await settled()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with held.lane("b"):
        pass


async def test_asking_twice_for_one_file_takes_one_lane() -> None:
    held = Lanes(2, FOREVER)
    await held.keep("a")
    await held.keep("a")
    async with held.lane("a"), held.lane("b"):
        pass
