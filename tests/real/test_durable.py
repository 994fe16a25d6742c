"""A server that is told to survive a loss of power has on the disk what it says counts."""

from __future__ import annotations

import sys
from pathlib import Path

from rondo.simulator.local import SERVER
from tests.base.extents import is_on_disk
from tests.real.line import ADDING, added, adding
from tests.real.synced import synced
from tests.real.world import world, write_job

SIZE = 4  # MiB


async def test_update_and_model_are_on_the_disk(tmp_path: Path) -> None:
    told = tmp_path / "synced"
    async with world(tmp_path / "w", {"a": None}) as made:
        await made.kill(SERVER)
        command = (sys.executable, "-m", "tests.real.synced", str(told))
        await made.start(SERVER, "--durable", "disk", command=command)
        job = write_job(
            tmp_path / "job", code=ADDING, toml=adding(SIZE),
            min_clients=1, num_rounds=1, keep_updates=1, final_validation=False,
        )  # fmt: skip
        run = await made.session.submit(job)
        assert (await made.ended(run))[-1].kind == "run_finished"
        assert await made.digest(run, 1) == added(tmp_path, SIZE, rounds=1)
        server = made.workspaces[SERVER]
        (update,) = server.glob(f"run_{run}/updates/*/*")
        (model,) = (path for path in server.glob("blobs/*/*") if _is_big(path))
        assert is_on_disk(update) and is_on_disk(model)
        assert synced(told, model, model.parent)
        assert synced(told, update, server / "spool" / "a")


def _is_big(path: Path) -> bool:
    return path.stat().st_size > SIZE << 20
