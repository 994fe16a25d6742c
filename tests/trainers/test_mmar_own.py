"""Trainers, filters and handlers written for Clara 4.0, unedited, in a real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.jobs.job import read_job
from rondo.worker.host import TaskFailed, open_worker
from tests.mmar.folders import make_linear, make_own
from tests.worker.jobs import Bench

ARRAYS = {"coef_": np.full((1, 3), 2.0, np.float32), "intercept_": np.ones(1, np.float32)}
PARTS: dict[str, Any] = {
    "client client outbound_filters": [{"path": "own.Halved"}, {"name": "ExcludeVars", "args": {"exclude_vars": "z"}}],
    "client handlers": [{"path": "own.Grumbler"}, {"path": "own.Diary"}],
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ARRAYS)


async def trained(bench: Bench, number: int = 0) -> dict[str, Any]:
    job = read_job(bench.code)
    async with open_worker(bench.spec()) as worker:
        await worker.ask(bench.open(job.client.trainer.name, **job.client.trainer.options))
        return await worker.ask(bench.train(number))


async def test_a_trainer_a_filter_and_a_handler_of_ones_own(bench: Bench) -> None:
    make_own(bench.code, {"step": -3.0}, PARTS)
    answer = await trained(bench, number=1)
    assert (answer["kind"], answer["steps"], answer["samples"]) == ("diff", 5.0, 5.0)
    assert answer["metrics"] == {"initial_metrics": 0.01}
    assert all((array == (-3.0 + 1) / 2).all() for array in bench.result().values())
    told = [line.split("| event ")[1] for line in bench.log.read_text().splitlines() if "| event " in line]
    assert told == [
        f"{name} site-1"
        for name in (
            "_start_run",
            "_before_pull_model",
            "_after_pull_model",
            "_receive_model",
            "_before_train",
            "_after_train",
            "_before_send_model",
            "_send_model",
            "_end_run",
        )
    ]
    log = bench.log.read_text()
    assert "finalized" in log and "at its end" in log and "in its last call" in log  # one keeps no other from its own


async def test_weights_that_are_called_a_difference_and_no_number_of_steps(bench: Bench) -> None:
    """As adminMMAR_BYOT_monai does it: run, with a warning that says what was done."""
    make_own(bench.code, {"step": 0.25, "whole": True, "counts": False})
    answer = await trained(bench)
    assert (answer["kind"], answer["steps"]) == ("weights", 1.0)
    assert all(np.array_equal(array, ARRAYS[name] + 0.25) for name, array in bench.result().items())
    log = bench.log.read_text()
    assert "custom: weights_diff holds the weights themselves: taken as weights" in log
    assert "custom: no num_steps_current_round in the meta data: counted as 1" in log


async def test_a_trainer_that_gives_up_says_why(bench: Bench) -> None:
    make_own(bench.code, {"step": None})
    with pytest.raises(TaskFailed, match=r"returned 'none', neither weights nor their difference \(no step\)"):
        await trained(bench)


async def test_filters_of_ones_own_behind_clara_s_trainer(bench: Bench) -> None:
    make_linear(bench.code)
    plain = (await trained(bench))["steps"]
    whole = bench.result()
    make_own(bench.code, {}, {**PARTS, "client client_trainer": {"name": "ClientTrainer"}})
    (bench.folder / "run" / "mmar_state_0.pt").unlink()
    assert (await trained(bench))["steps"] == plain
    assert all(np.allclose(array, whole[name] / 2) for name, array in bench.result().items())


def test_the_run_knows_that_such_a_trainer_validates_itself(tmp_path: Path) -> None:
    job = read_job(make_own(tmp_path / "a", {"step": 1.0}))
    assert (job.server.best_metric, job.server.final_validation) == ("initial_metrics", False)
    assert job.client.trainer.options == {"own": True}
    behind = [{"name": "PercentilePrivacy"}, {"path": "own.Halved"}]
    with pytest.raises(BadInput, match=r"own\.Halved stands behind a filter of Rondo's"):
        read_job(make_own(tmp_path / "b", {}, {"client client outbound_filters": behind}))
