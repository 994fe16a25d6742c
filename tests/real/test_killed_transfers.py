"""Server and client killed in the middle of a real transfer: it goes on where it was, and the round with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.simulator.local import SERVER
from tests.net.proxy import ConnectProxy, Way
from tests.real.line import ADDING, MIB, added, adding, held_at, through, written
from tests.real.world import World, world, write_job

SIZE = 16  # MiB of the model, and so of every transfer
KILLED_AT = 9  # MiB that the receiver has written when somebody dies
OVERHEAD = 1.02  # TLS, HTTP/2, and the calls beside the transfer


def arriving(made: World, way: Way) -> Path:
    """The file that is not whole yet, where it arrives."""
    (part,) = (made.workspaces[SERVER] / "spool" if way is Way.UP else made.workspaces["a"] / "cache").rglob("*.part")
    return part


async def kill_in_transfer(made: World, proxy: ConnectProxy, way: Way, victim: str) -> None:
    """Hold the line in the middle, wait until the receiver has written what came, kill ``victim``, start it again."""
    await held_at(proxy, way, int((KILLED_AT + 1) * MIB * OVERHEAD), made)
    await written(arriving(made, way), KILLED_AT * MIB)
    await made.kill(victim)
    proxy.cut()
    proxy.go_on()
    await made.start(victim, env=through(proxy) if victim == "a" else None)


@pytest.mark.parametrize("victim", [SERVER, "a"])
async def test_killed_while_the_model_comes_down_and_while_the_update_goes_up(victim: str, tmp_path: Path) -> None:
    async with ConnectProxy() as proxy, world(tmp_path / "w", {"a": None}, absent=["a"]) as made:
        proxy.rate = 50e6  # slower than the disk: what has passed is written in a moment
        await made.start("a", env=through(proxy))
        await made.logged_in("a")
        job = write_job(
            tmp_path / "job", code=ADDING, toml=adding(SIZE), min_clients=1, num_rounds=1, final_validation=False
        )
        run = await made.session.submit(job)
        before = {}
        for way in (Way.DOWN, Way.UP):
            before[way] = proxy.passed[way]
            await kill_in_transfer(made, proxy, way, victim)
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        assert [event.data["client"] for event in events if event.kind == "update_accepted"] == ["a"]
        assert await made.digest(run, 1) == added(tmp_path, SIZE, rounds=1)
        for way, start in before.items():
            again = proxy.passed[way] - start - SIZE * MIB * OVERHEAD
            assert again < 2 * MIB, f"{again / MIB:.1f} MiB were sent again {way}"
