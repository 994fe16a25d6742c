"""One clinic's end of the demo: figures that are right, and bits that are always the same."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from rondo.jobs.check import check_job
from rondo.jobs.job import read_job
from rondo.jobs.package import pack, unpack
from rondo.jobs.task import Site, Task, Update
from rondo.simulator.report import Training
from rondo.simulator.thyroid import clinic
from tests.simulator.conftest import JOB

RECIPE = clinic.Recipe(epochs=2)


@pytest.fixture
def site(patients: Path, tmp_path: Path) -> Site:
    """A clinic without its test patients: whatever runs here cannot have looked at them."""
    folder = tmp_path / "data"
    shutil.copytree(patients / "STMW", folder, ignore=shutil.ignore_patterns("test.npz"))
    return Site("STMW", workspace=tmp_path, code=JOB, data=folder)


def test_the_job_is_a_sound_package(tmp_path: Path, training: Training) -> None:
    job = read_job(JOB)
    check_job(job, JOB)
    assert job.server.min_clients == 4 and job.server.best_metric == "auc"
    assert training.recipe == clinic.Recipe()
    pack(JOB, tmp_path / "job.zip")
    unpack(tmp_path / "job.zip", tmp_path / "unpacked")
    assert read_job(tmp_path / "unpacked") == job


def test_a_round_at_a_clinic(site: Site) -> None:
    trainer = clinic.Clinic(site, epochs=2)
    model = clinic.new_model(seed=3)
    task = Task("train", round=0, rounds=15, seed=11, site=site)
    update = trainer.train(model, task)
    assert isinstance(update, Update)
    assert update.kind == "weights" and update.samples == 153 and update.steps == 20
    assert {name: (value.shape, value.dtype) for name, value in update.tensors.items()} == {
        name: (value.shape, value.dtype) for name, value in model.items()
    }
    samples, before = trainer.validate(model, task)
    assert samples == 25 and before.keys() == {"auc", "loss"}
    assert update.local_metrics["loss"] < before["loss"]


def test_equal_tasks_give_equal_bits(site: Site) -> None:
    model = clinic.new_model(seed=3)
    before = {name: value.copy() for name, value in model.items()}
    tensors = [
        clinic.Clinic(site).train(model, Task("train", 2, 15, seed, site)).tensors for seed in (2**62 + 7, 2**62 + 7, 8)
    ]
    assert all(np.array_equal(model[name], before[name]) for name in model)
    assert all(tensors[0][name].tobytes() == tensors[1][name].tobytes() for name in model)
    assert any(tensors[0][name].tobytes() != tensors[2][name].tobytes() for name in model)


def test_a_model_that_cannot_be_written_to_will_do(site: Site) -> None:
    model = clinic.new_model()
    for value in model.values():
        value.flags.writeable = False
    assert clinic.Clinic(site).train(model, Task("train", 0, 15, 1, site)).samples == 153


def test_a_clinic_that_names_no_data_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"STMW has not said where its data is"):
        clinic.Clinic(Site("STMW", tmp_path, tmp_path))


def test_an_unknown_setting_is_refused(site: Site) -> None:
    with pytest.raises(TypeError, match="epoch"):
        clinic.Clinic(site, epoch=3)


def test_progress_is_told_after_every_epoch(site: Site) -> None:
    told: list[float] = []
    records = clinic.Clinic(site).own
    clinic.fit(clinic.new_model(), records, clinic.Recipe(epochs=4), 1, told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_new_models_depend_on_their_seed_alone() -> None:
    one, same, other = clinic.new_model(seed=1), clinic.new_model(seed=1), clinic.new_model(seed=2)
    assert all(one[name].tobytes() == same[name].tobytes() for name in one)
    assert one["hidden.weight"].tobytes() != other["hidden.weight"].tobytes()
    assert {name: value.shape for name, value in clinic.new_model(hidden=5).items()} == {
        "hidden.weight": (30, 5),
        "hidden.bias": (5,),
        "output.weight": (5, 1),
        "output.bias": (1,),
    }
    assert {value.dtype for value in one.values()} == {np.dtype(np.float32)}


def test_one_step_follows_the_slope_of_the_loss(site: Site) -> None:
    """Against finite differences: one step on all patients, without momentum, is rate times the slope."""
    records = clinic.Clinic(site).own
    model = {name: value.astype(np.float64) for name, value in clinic.new_model(seed=4, hidden=3).items()}
    rate, nudge = 64.0, 1e-5
    recipe = clinic.Recipe(epochs=1, rate=rate, batch=len(records.y), momentum=0.0)
    stepped = clinic.fit(model, records, recipe, seed=0)
    for name, value in model.items():
        for place in np.ndindex(*value.shape):
            losses = []
            for side in (nudge, -nudge):
                moved = value.copy()
                moved[place] += side
                losses.append(clinic.measure({**model, name: moved}, records)["loss"])
            slope = (losses[0] - losses[1]) / (2 * nudge)
            assert (value[place] - stepped[name][place]) / rate == pytest.approx(slope, abs=2e-6)


def test_momentum_carries_on_within_a_round_and_not_into_the_next(site: Site) -> None:
    records, model = clinic.Clinic(site).own, clinic.new_model()
    two = clinic.fit(model, records, clinic.Recipe(epochs=2), 5)
    plain = clinic.fit(model, records, clinic.Recipe(epochs=2, momentum=0.0), 5)
    assert two["output.bias"] != plain["output.bias"]
    again = clinic.fit(model, records, clinic.Recipe(epochs=2), 5)
    assert two["output.bias"].tobytes() == again["output.bias"].tobytes()


_RATED = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40)


@given(_RATED.filter(lambda rows: len({ill for ill, _ in rows}) == 2))
def test_auc_is_that_of_sklearn(rows: list[tuple[bool, int]]) -> None:
    y, rated = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    assert clinic.auc(y, rated) == pytest.approx(roc_auc_score(y, rated), abs=1e-12)


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_auc_of_one_kind_is_not_a_number_and_is_left_out(kind: float) -> None:
    records = clinic.Records(np.zeros((3, clinic.FEATURES)), np.full(3, kind))
    assert math.isnan(clinic.auc(records.y, np.arange(3.0)))
    assert clinic.measure(clinic.new_model(), records).keys() == {"loss"}


def test_loss_is_that_of_sklearn_and_bears_certainty(site: Site) -> None:
    records = clinic.Clinic(site).own
    model = clinic.new_model(seed=6)
    rated = clinic.scores(model, records.x)
    expected = log_loss(records.y, 1 / (1 + np.exp(-rated)))
    assert clinic.measure(model, records)["loss"] == pytest.approx(expected)
    sure = {**model, "output.bias": np.array([5000.0], np.float32)}
    assert math.isfinite(clinic.measure(sure, records)["loss"])


def test_ranks_by_hand() -> None:
    assert clinic.ranks(np.array([10.0, 5.0, 10.0, 7.0, 10.0])).tolist() == [4.0, 1.0, 4.0, 2.0, 4.0]
