"""The bell: who looked before it rang hears it, whoever comes when."""

from __future__ import annotations

import asyncio

import pytest

from rondo.ledger.bell import Bell


async def test_a_ring_between_ticket_and_wait_is_not_lost() -> None:
    bell = Bell()
    ticket = bell.ticket("runs")
    bell.ring("runs")
    assert await bell.wait("runs", ticket, 0.0)


async def test_a_ring_while_waiting_wakes_everybody_who_waits() -> None:
    bell = Bell()
    ticket = bell.ticket("runs")
    waiting = [asyncio.create_task(bell.wait("runs", ticket)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring("clients", "runs")
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_without_a_ring_the_wait_ends_in_time() -> None:
    bell = Bell()
    bell.ring("runs")
    assert not await bell.wait("runs", bell.ticket("runs"), 0.001)


async def test_a_ring_for_others_is_not_heard() -> None:
    bell = Bell()
    ticket = bell.ticket("client:a")
    bell.ring("client:b")
    assert not await bell.wait("client:a", ticket, 0.001)


async def test_a_new_ticket_has_heard_the_old_rings() -> None:
    bell = Bell()
    first = bell.ticket("runs")
    bell.ring("runs")
    second = bell.ticket("runs")
    assert first != second
    assert await bell.wait("runs", first, 0.0) and not await bell.wait("runs", second, 0.0)


async def test_one_that_is_cancelled_takes_nobody_along() -> None:
    bell = Bell()
    ticket = bell.ticket("runs")
    one, other = (asyncio.create_task(bell.wait("runs", ticket)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    bell.ring("runs")
    assert await other
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_nothing_is_kept_of_those_who_waited() -> None:
    """A server that runs for months answers many questions, each with a topic of its own."""
    bell = Bell()
    for number in range(100):
        ticket = bell.ticket(f"ask:{number}")
        waiting = asyncio.create_task(bell.wait(f"ask:{number}", ticket))
        await asyncio.sleep(0)
        if number % 2:
            bell.ring(f"ask:{number}")
        else:
            waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await bell.wait(f"ask:{number}", bell.ticket(f"ask:{number}"), 0.0)
    assert not bell._sleepers
