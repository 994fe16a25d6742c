"""A run over a line with every fault in turn, each in the middle of a transfer: it completes with the right model."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.net.proxy import ConnectProxy, Way
from tests.real.line import ADDING, MIB, added, adding, held_at, soon, through
from tests.real.world import World, world, write_job

SIZE = 8  # MiB of the model, and so of every transfer
ROUNDS = 8
APART = 5 * MIB  # bytes that pass between two faults
STALL = 1.0  # seconds


async def every_fault(line: ConnectProxy, made: World) -> None:
    """One after the other, each after ``APART`` more bytes; the last two stay."""
    for way in Way:
        await held_at(line, way, APART, made)
        line.cut()
        line.go_on()

    await held_at(line, Way.UP, APART, made)
    line.refuse = True
    line.cut()
    line.go_on()
    tried = line.accepted + 3
    await soon("three connections refused", line.until(lambda: line.accepted >= tried), made)
    line.refuse = False

    for way in Way:
        await held_at(line, way, APART, made)
        asyncio.get_running_loop().call_later(STALL, line.go_on)

    for way in Way:
        await held_at(line, way, APART, made)
        line.forget()
        line.go_on()

    line.delay, line.rate = 0.05, 20e6


async def test_a_run_survives_every_fault_of_its_line(tmp_path: Path) -> None:
    async with ConnectProxy() as line, world(tmp_path / "w", {"a": None, "b": None}, absent=["a"]) as made:
        line.rate = 50e6
        await made.start("a", env=through(line))
        await made.logged_in("a")
        job = write_job(
            tmp_path / "job", code=ADDING, toml=adding(SIZE), num_rounds=ROUNDS, final_validation=False,
            wait_after_min_clients=60,
        )  # fmt: skip
        run = await made.session.submit(job)
        await every_fault(line, made)
        slow = line.passed[Way.DOWN]
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1]
        counted = Counter(
            (event.data["client"], event.data["round"]) for event in events if event.kind == "update_accepted"
        )
        assert counted == {(client, number): 1 for client in ("a", "b") for number in range(ROUNDS)}
        assert await made.digest(run, ROUNDS) == added(tmp_path, SIZE, ROUNDS)
        assert line.passed[Way.DOWN] > slow + SIZE * MIB, "no round was left for the slow line"
        assert line.cuts == 5 and line.forgotten >= 2
