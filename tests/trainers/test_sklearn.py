"""The trainer ``sklearn``: partial_fit from the model received, and nothing else carried from round to round."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.jobs.task import Site, Task
from rondo.trainers.sklearn import Options, SklearnTrainer, build

JOB = """
import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import scale

def data(site):
    x, y = load_breast_cancer(return_X_y=True)
    return scale(x), y

def single(site):
    x, y = data(site)
    return x.astype("f4"), y

def held_out(site):
    x, y = data(site)
    return x[:400], y[:400], x[400:], y[400:]

def one_class(site):
    x, y = data(site)
    return x[y == 1], y[y == 1]

def iris(site):
    x, y = load_iris(return_X_y=True)
    return scale(x), y, scale(x), y

def numbers(site):
    x, y = data(site)
    return x, x[:, 0] * 2.0, x, x[:, 0] * 2.0
"""
ZERO = {"coef_": np.zeros((1, 30)), "intercept_": np.zeros(1)}
ARGS = {"loss": "log_loss", "alpha": 0.01}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "skjob.py").write_text(JOB)
    monkeypatch.syspath_prepend(tmp_path)
    yield Site("site-1", tmp_path, tmp_path)
    sys.modules.pop("skjob", None)


def trainer(site: Site, **more: Any) -> SklearnTrainer:
    options = {"data": "skjob:data", "args": ARGS, "classes": [0, 1], **more}
    return build(decode(Options, options, "trainer sklearn"), site)


def rounds(one: SklearnTrainer, site: Site, count: int) -> dict[str, Any]:
    model: dict[str, Any] = ZERO
    for number in range(count):
        model = dict(one.train(model, Task("train", number, count, 7, site)).tensors)
    return model


def test_rounds_at_one_site_are_what_scikit_learn_does_alone(site: Site) -> None:
    """Only its step count and its order of samples are kept from call to call: the same numbers, bit for bit."""
    federated = rounds(trainer(site, epochs=2), site, 3)
    sys.path.insert(0, str(site.code))
    import skjob  # type: ignore[import-not-found]

    sys.path.remove(str(site.code))
    x, y = skjob.data(site)
    alone = SGDClassifier(**ARGS, random_state=7)
    for _ in range(6):
        alone.partial_fit(x, y, classes=[0, 1])
    assert np.array_equal(federated["coef_"], alone.coef_)
    assert np.array_equal(federated["intercept_"], alone.intercept_)


def test_a_site_without_a_class_trains_all_the_same(site: Site) -> None:
    update = trainer(site, data="skjob:one_class").train(ZERO, Task("train", 0, 1, 7, site))
    assert update.tensors["coef_"].shape == (1, 30) and update.samples == 357 == update.steps
    assert not np.shares_memory(update.tensors["coef_"], ZERO["coef_"]) and not ZERO["coef_"].any()


def test_it_is_measured_on_the_part_held_out(site: Site) -> None:
    one = trainer(site, data="skjob:held_out")
    samples, metrics = one.validate(ZERO, Task("validate", 0, 1, 7, site))
    assert one.evaluates and samples == 169 and metrics["auc"] == 0.5
    _, metrics = one.validate(rounds(one, site, 2), Task("validate", 2, 3, 7, site))
    assert metrics["auc"] > 0.98 and metrics["accuracy"] > 0.93
    assert not trainer(site).evaluates


def test_several_classes_and_regression(site: Site) -> None:
    three = trainer(site, data="skjob:iris", classes=[0, 1, 2])
    model = {"coef_": np.zeros((3, 4)), "intercept_": np.zeros(3)}
    trained = three.train(model, Task("train", 0, 1, 7, site)).tensors
    samples, metrics = three.validate(trained, Task("validate", 0, 1, 7, site))
    assert set(metrics) == {"accuracy"} and metrics["accuracy"] > 0.7 and samples == 150
    line = trainer(site, data="skjob:numbers", estimator="SGDRegressor", args={}, classes=[])
    model = {"coef_": np.zeros(30), "intercept_": np.zeros(1)}
    before = line.validate(model, Task("validate", 0, 1, 7, site))[1]["rmse"]
    after = line.validate(line.train(model, Task("train", 0, 1, 7, site)).tensors, Task("validate", 1, 2, 7, site))
    assert after[1]["rmse"] < before / 4


@pytest.mark.parametrize("data", ["skjob:data", "skjob:single"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_update_has_the_dtype_of_the_model(site: Site, data: str, dtype: type) -> None:
    model = {name: array.astype(dtype) for name, array in ZERO.items()}
    update = trainer(site, data=data).train(model, Task("train", 0, 1, 7, site))
    assert {array.dtype for array in update.tensors.values()} == {np.dtype(dtype)}
    assert np.isfinite(update.tensors["coef_"]).all() and update.tensors["coef_"].any()


def test_what_is_not_there_is_named(site: Site) -> None:
    with pytest.raises(BadInput, match="has no 'SVC' with partial_fit"):
        trainer(site, estimator="SVC")
    with pytest.raises(BadInput, match="has no 'Ridge' with partial_fit"):
        trainer(site, estimator="Ridge")
    with pytest.raises(BadInput, match="classes: SGDClassifier needs all classes"):
        trainer(site, classes=[])
    with pytest.raises(BadInput, match="all numbers or all text"):
        trainer(site, classes=[0, "1"])
    with pytest.raises(BadInput, match="data: module 'skjob' has no 'dta'"):
        trainer(site, data="skjob:dta")
    with pytest.raises(BadInput, match="the model has no tensor 'intercept_'"):
        trainer(site).train({"coef_": ZERO["coef_"]}, Task("train", 0, 1, 7, site))
