"""What leaves a site: what its filters let through, and of what updates lost that of the last one that counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.base.errors import BadInput, SiteRefused
from rondo.client.passage import Measured, Passage, answered, open_passage, take_over
from rondo.jobs.job import Choice, read_job
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
    answer = {"path": str(update.path), "kind": "weights", "omitted": [], "steps": 0.0, "digest": update.digest}
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


async def test_filters_of_the_site_come_last_and_are_the_sites_fault(tmp_path: Path) -> None:
    """A job that takes nothing out, and a site that does; then a site whose own filter there is not."""
    job = read_job(write_job(tmp_path / "job"))
    worker = WorkerSpec("filter", log=tmp_path / "a.log", tag="a")
    model = write_tensors(tmp_path / "cache" / "model", {"w": np.zeros(5, np.float32), "own": np.zeros(2, np.float32)})
    update = write_tensors(tmp_path / "cache" / "update", {"w": np.ones(5, np.float32), "own": np.ones(2, np.float32)})
    answer = {"path": str(update.path), "kind": "weights", "omitted": [], "steps": 0.0, "digest": update.digest}
    own = (Choice(name="exclude_vars", options={"vars": ["own"]}),)
    async with open_passage(job, own, worker, "a", tmp_path, "secret") as way:
        left = await way.update(pb.Work(run=1, round=0, task="train", seed="s"), model.path, answer)
    assert left["omitted"] == ["own"] and left["path"] != answer["path"]
    with pytest.raises(SiteRefused, match=r"this site cannot filter as it must: .*no 'exclude_vras' in filters"):
        async with open_passage(job, (Choice(name="exclude_vras"),), worker, "a", tmp_path, "secret"):
            raise AssertionError


SAID = {
    "digest": "d", "size": 3, "kind": "diff", "samples": 1.0, "steps": 0.0, "metrics": {}, "local_metrics": {},
    "omitted": [],
}  # fmt: skip


@pytest.mark.parametrize("trick", ["link", "second name", "another file", "folder", "nothing"])
def test_a_worker_does_not_choose_what_is_sent(tmp_path: Path, trick: str) -> None:
    made, into, key = tmp_path / "made" / "a.update", tmp_path / "a.update", tmp_path / "client.key"
    key.write_text("secret")
    made.parent.mkdir()
    match trick:
        case "link":
            made.symlink_to(key)
        case "second name":
            made.hardlink_to(key)
        case "folder":
            made.mkdir()
        case "nothing":
            pass
        case _:
            made.touch()
    path = str(key) if trick == "another file" else str(made)
    with pytest.raises(BadInput):
        take_over(SAID | {"path": path}, made, into)
    assert not into.is_file() and key.read_text() == "secret"


def test_what_it_was_to_make_is_moved_out_of_its_reach(tmp_path: Path) -> None:
    made, into = tmp_path / "made" / "a.update", tmp_path / "a.update"
    made.parent.mkdir()
    made.write_text("new")
    into.write_text("old")
    assert take_over(SAID | {"path": str(made), "say": "done"}, made, into) == SAID | {"path": str(into)}
    assert into.read_text() == "new" and not made.exists()


@pytest.mark.parametrize("said", [{}, SAID, SAID | {"path": 3}, SAID | {"path": "p", "samples": "many"}])
def test_an_answer_that_is_none_is_refused(tmp_path: Path, said: dict[str, Any]) -> None:
    """Who runs the job's code writes the answers, too: nonsense ends the task, not the client."""
    with pytest.raises(BadInput, match="an answer of the worker that cannot be read"):
        take_over(said, tmp_path / "a.update", tmp_path / "out")
    with pytest.raises(BadInput):
        answered({"samples": 1.0}, Measured)
