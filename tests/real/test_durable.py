"""A server that is told to survive a loss of power has on the disk what it says counts."""

from __future__ import annotations

from pathlib import Path

from rondo.simulator.local import SERVER
from tests.base.extents import is_on_disk
from tests.real.line import ADDING, added, adding
from tests.real.world import world, write_job

SIZE = 4  # MiB


async def test_update_and_model_are_on_the_disk(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        await made.kill(SERVER)
        await made.start(SERVER, "--durable", "disk")
        job = write_job(
            tmp_path / "job", code=ADDING, toml=adding(SIZE),
            min_clients=1, num_rounds=1, keep_updates=1, final_validation=False,
        )  # fmt: skip
        run = await made.session.submit(job)
        assert (await made.ended(run))[-1].kind == "run_finished"
        assert await made.digest(run, 1) == added(tmp_path, SIZE, rounds=1)
        server = made.workspaces[SERVER]
        kept = [*server.glob(f"run_{run}/updates/*/*"), *(path for path in server.glob("blobs/*/*") if _is_big(path))]
        assert len(kept) == 2
        assert all(is_on_disk(path) for path in kept)


def _is_big(path: Path) -> bool:
    return path.stat().st_size > SIZE << 20
