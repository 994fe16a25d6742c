"""What updates lost, at the site: that of the last one that counted is added, whatever happened to others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rondo.client.passage import Passage, open_passage
from rondo.jobs.job import read_job
from rondo.tensors.files import write_tensors
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import WorkerSpec
from tests.real.world import write_job


async def sent(passage: Passage, folder: Path, round_number: int, counted: int | None) -> str:
    """The digest of what leaves in this round, which trains as every other does."""
    model = write_tensors(folder / "cache" / "model", {"w": np.zeros(500, np.float32)})
    update = write_tensors(folder / "cache" / "update", {"w": np.arange(500, dtype=np.float32) / 7})
    work = pb.Work(run=4, round=round_number, task="train", seed="s")
    if counted is not None:
        work.counted = counted
    answer = {"path": str(update.path), "kind": "weights", "steps": 0.0, "digest": update.digest}
    left = await passage.update(work, model.path, answer)
    assert left["kind"] == "diff"
    return str(left["digest"])


async def test_only_the_loss_of_what_counted_is_added(tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job")
    with (folder / "job.toml").open("a") as file:
        file.write('\n[transfer]\nup = "int8"\n')
    run = tmp_path / "run_1"
    run.mkdir()
    (run / "a.lost-3-9").touch()  # of an earlier run with this number

    def here() -> list[str]:
        return sorted(path.name for path in run.glob("*lost*"))

    async with open_passage(
        read_job(folder), (), WorkerSpec("filter", log=run / "a.log", tag="a"), "a", run, "secret"
    ) as way:
        first = await sent(way, tmp_path, 0, None)
        assert here() == ["a.lost-4-0"]
        second = await sent(way, tmp_path, 1, 0)
        assert here() == ["a.lost-4-0", "a.lost-4-1"] and second != first
        # Killed before it could know: the same again, from the same loss.
        assert await sent(way, tmp_path, 1, 0) == second
        # Round 1 did not count: its loss is forgotten, that of round 0 is still owed.
        assert await sent(way, tmp_path, 2, 0) == second
        assert here() == ["a.lost-4-0", "a.lost-4-2"]
        # Nothing ever counted, or the file is gone: as in a first round.
        assert await sent(way, tmp_path, 3, 1) == first
        assert here() == ["a.lost-4-3"]
