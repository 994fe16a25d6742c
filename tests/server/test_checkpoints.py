"""The PyTorch files of a run: of the last model and the best, whole, and made again where a kill came between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rondo.jobs.job import read_job
from rondo.ledger import models, runs
from rondo.ledger.runs import Run
from rondo.server.checkpoints import write_checkpoints
from rondo.tensors.files import write_tensors
from tests.real.world import write_job
from tests.server.house import House, house

TOML = """
[model]
function = "work:new_model"
checkpoints = { train_conf = { rounds = 3 } }
[client]
trainer = { name = "function", class = "work:Clinic" }
"""


async def model(made: House, run: int, version: int, value: float) -> None:
    """A version of the run's model: one number."""
    file = write_tensors(made.store.folder / "made", {"w": np.array([value], np.float32)})
    made.store.blobs.adopt(file.path, file.digest)
    row = models.Model(run, version, file.digest, file.size, True, {}, {}, 0.0, file.digest, file.size, {})
    await made.store.do(models.add, row)


async def row(made: House, run: int) -> Run:
    found = await made.store.read(runs.get, run)
    assert found is not None
    return found


async def test_the_files_follow_the_models(tmp_path: Path) -> None:
    async with house(tmp_path / "h") as made:
        folder = write_job(tmp_path / "job", toml=TOML)
        job, run = read_job(folder), await made.run(folder)
        shown = made.store.run_folder(1) / "mmar_server" / "models"
        last, best = shown / "FL_global_model.pt", shown / "best_FL_global_model.pt"

        await model(made, run, 0, 0.0)
        await write_checkpoints(made.store, await row(made, run), job)
        assert not last.exists()  # nobody has trained it

        await model(made, run, 1, 1.5)
        await write_checkpoints(made.store, await row(made, run), job)
        found = torch.load(last, weights_only=True)
        assert (found["model"]["w"].tolist(), found["train_conf"]) == ([1.5], {"rounds": 3})
        assert not best.exists()

        # What is right already is not written again.
        before = last.stat().st_mtime_ns
        await write_checkpoints(made.store, await row(made, run), job)
        assert last.stat().st_mtime_ns == before

        # Killed between the model's commit and its file, or between the file and the note of whose it is.
        await model(made, run, 2, 2.5)
        await made.store.do(runs.note, run, best_version=1)
        last.with_name(f".{last.name}.of").unlink()
        await write_checkpoints(made.store, await row(made, run), job)
        assert torch.load(last, weights_only=True)["model"]["w"].tolist() == [2.5]
        assert torch.load(best, weights_only=True)["model"]["w"].tolist() == [1.5]
        assert sorted(path.name for path in last.parent.iterdir() if "part" in path.name) == []


async def test_a_job_that_does_not_ask_gets_none(tmp_path: Path) -> None:
    async with house(tmp_path / "h") as made:
        folder = write_job(tmp_path / "job")
        run = await made.run(folder)
        await model(made, run, 1, 1.5)
        await write_checkpoints(made.store, await row(made, run), read_job(folder))
        assert not (made.store.run_folder(1) / "mmar_server").exists()
