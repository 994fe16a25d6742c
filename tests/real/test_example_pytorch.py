"""examples/pytorch: the same file runs alone and in a federation of workers, and four lines are what it takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rondo.aggregate.folding import fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.jobs.check import check_job
from rondo.jobs.job import read_job
from rondo.worker.host import WorkerSpec, open_worker

EXAMPLE = Path(__file__).parents[2] / "examples" / "pytorch"


def test_it_runs_alone(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE / "train.py")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("accuracy 0.") and second.startswith("rondo: one local round, 150 samples, accuracy 0.")
    assert float(first.split()[3]) > float(first.split()[1]) + 0.2
    assert list(tmp_path.iterdir()) == []


def test_four_lines_federate_it() -> None:
    lines = (EXAMPLE / "train.py").read_text().splitlines()
    marked = [line.strip() for line in lines if line.endswith("# |")]
    assert len(marked) == 4 and sum("task" in line or "rondo" in line for line in lines) == 4
    shown = (EXAMPLE / "README.md").read_text()
    assert all(line.split("(")[0].split("  ")[0] in shown for line in marked)


async def test_two_sites_learn_together(tmp_path: Path) -> None:
    code = tmp_path / "job"
    shutil.copytree(EXAMPLE, code, ignore=shutil.ignore_patterns("__pycache__"))
    job = read_job(code)
    check_job(job, code)
    model = tmp_path / "model-0"
    async with (
        open_worker(WorkerSpec("train", tmp_path / "a.log", "a", code)) as a,
        open_worker(WorkerSpec("train", tmp_path / "b.log", "b", code)) as b,
    ):
        args = dict(job.model.args)
        await a.ask({"do": "init", "function": job.model.function, "args": args, "seed": 1, "out": str(model)})
        sites = {"a": a, "b": b}
        for name, worker in sites.items():
            site = {"name": name, "workspace": str(tmp_path / name), "code": str(code), "data": None}
            opened = {"do": "open", "kind": "train", "job": msgspec.to_builtins(job.client.trainer), "site": site}
            await worker.ask(opened | {"seed": 1})
        accuracy = []
        for number in range(4):
            answers: dict[str, dict[str, Any]] = {}
            for name, worker in sites.items():
                files = {"model": str(model), "out": str(tmp_path / f"{name}.update")}
                answers[name] = await worker.ask({"do": "train", "round": number, "rounds": 4, "seed": 5, **files})
            sent = [Contribution(name, Path(one["path"]), one["kind"], one["samples"]) for name, one in answers.items()]
            accuracy.append([one["metrics"]["accuracy"] for one in answers.values()])
            model = fold(model, sent, build_rule("mean", {}), tmp_path / f"model-{number + 1}").model.path
    assert [one[0] for one in accuracy] == [one[1] for one in accuracy]  # measured on the same model
    assert accuracy[0][0] < 0.3 and accuracy[-1][0] > 0.8
    assert (tmp_path / "a.log").read_text().count("| accuracy ") == 4


@pytest.mark.parametrize("name", ["README.md", "job.toml", "train.py"])
def test_it_is_small_enough_to_read(name: str) -> None:
    assert len((EXAMPLE / name).read_text().splitlines()) < 80
