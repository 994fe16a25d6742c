"""One clinic's end of the demo: a small network in plain numpy that rates how likely a patient has a finding.

The network is ``features -> 32 -> 1`` (ReLU, logistic), trained by mini-batch gradient descent with momentum. What
a training task returns depends on nothing but the model, the records and the task's seed: no optimiser state is
carried from round to round, so that a worker that was killed and started again gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import rondo

FEATURES = 30

Floats = NDArray[np.float64]
Model = Mapping[str, NDArray[Any]]


class Records(NamedTuple):
    """Patients: ``x`` float64 (patients, features), ``y`` float64 (patients,), 1 where there is a finding."""

    x: Floats
    y: Floats


@dataclass(frozen=True)
class Recipe:
    """How a clinic trains in one round: ``epochs`` over its patients, step size ``rate``, ``batch`` patients a step.

    Chosen on the clinics' validation patients alone, as the mean over five seeds (see the README of the example).
    """

    epochs: int = 3
    rate: float = 0.05
    batch: int = 16
    momentum: float = 0.9


class Clinic:
    """The trainer that runs at every clinic. It opens ``train.npz`` and ``validation.npz`` of its own folder.

    The test patients are not looked at here: neither training nor the choice of the best model may know them.
    """

    def __init__(self, site: rondo.Site, **recipe: Any) -> None:
        if site.data is None:
            raise ValueError(f"{site.name} has not said where its data is: set the folder that holds train.npz")
        self.recipe = Recipe(**recipe)
        self.own = read_records(site.data / "train.npz")
        self.watched = read_records(site.data / "validation.npz")

    def train(self, model: Model, task: rondo.Task) -> rondo.Update:
        """One round at this clinic: train the model that came (``validate`` has rated it) on the own patients."""
        trained = fit(model, self.own, self.recipe, task.seed, rondo.progress)
        return rondo.Update(
            tensors=trained,
            samples=len(self.own.y),
            local_metrics=measure(trained, self.watched),
            steps=self.recipe.epochs * -(-len(self.own.y) // self.recipe.batch),
        )

    def validate(self, model: Model, task: rondo.Task) -> tuple[float, dict[str, float]]:
        """Number of validation patients, and AUC and loss of ``model`` on them."""
        return len(self.watched.y), measure(model, self.watched)


def read_records(path: Path) -> Records:
    """The patients of a file made by ``rondo.simulator.thyroid.data.prepare``."""
    with np.load(path, allow_pickle=False) as file:
        return Records(file["x"].astype(np.float64), file["y"].astype(np.float64))


def new_model(seed: int = 0, hidden: int = 32) -> dict[str, NDArray[np.float32]]:
    """Random weights (He et al. 2015, arXiv 1502.01852) for ``FEATURES`` inputs and ``hidden`` units."""
    random = np.random.default_rng(seed)
    weights = {
        "hidden.weight": random.normal(0.0, np.sqrt(2.0 / FEATURES), (FEATURES, hidden)),
        "hidden.bias": np.zeros(hidden),
        "output.weight": random.normal(0.0, np.sqrt(1.0 / hidden), (hidden, 1)),
        "output.bias": np.zeros(1),
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def scores(model: Model, x: Floats) -> Floats:
    """Log-odds of a finding for every row of ``x``, shape (patients,)."""
    weights = {name: np.asarray(value, np.float64) for name, value in model.items()}
    return _forward(weights, x)[1]


def fit(
    model: Model,
    records: Records,
    recipe: Recipe,
    seed: int,
    tell: Callable[[float], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Train ``model`` further on ``records``; ``seed`` orders the patients, ``tell`` hears the fraction done."""
    weights = {name: np.array(value, np.float64) for name, value in model.items()}
    speed = {name: np.zeros_like(value) for name, value in weights.items()}
    random = np.random.default_rng(seed)
    for epoch in range(recipe.epochs):
        for rows in _batches(random.permutation(len(records.y)), recipe.batch):
            for name, slope in _gradient(weights, records.x[rows], records.y[rows]).items():
                speed[name] = recipe.momentum * speed[name] + slope
                weights[name] -= recipe.rate * speed[name]
        if tell is not None:
            tell((epoch + 1) / recipe.epochs)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def measure(model: Model, records: Records) -> dict[str, float]:
    """AUC and mean cross-entropy ("loss") of ``model``; no AUC where all patients are of one kind."""
    rated = scores(model, records.x)
    area = auc(records.y, rated)
    loss = float(np.mean(np.logaddexp(0.0, rated) - records.y * rated))
    return {"loss": loss} if np.isnan(area) else {"auc": area, "loss": loss}


def auc(y: Floats, rated: Floats) -> float:
    """Chance that a patient with a finding is rated above one without (a tie counts half); NaN without both kinds.

    By ranks: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    found = y > 0.5
    ill, well = int(found.sum()), int((~found).sum())
    if not ill or not well:
        return float("nan")
    return float((ranks(rated)[found].sum() - ill * (ill + 1) / 2) / (ill * well))


def ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(times) - (times - 1) / 2)[place], np.float64)


def _forward(weights: Mapping[str, Floats], x: Floats) -> tuple[Floats, Floats]:
    inner = np.maximum(x @ weights["hidden.weight"] + weights["hidden.bias"], 0.0)
    return inner, (inner @ weights["output.weight"] + weights["output.bias"])[:, 0]


def _gradient(weights: Mapping[str, Floats], x: Floats, y: Floats) -> dict[str, Floats]:
    """Of the mean cross-entropy over these patients."""
    inner, rated = _forward(weights, x)
    outer = ((1.0 / (1.0 + np.exp(-rated)) - y) / len(y))[:, None]
    back = (outer @ weights["output.weight"].T) * (inner > 0.0)
    return {
        "hidden.weight": x.T @ back,
        "hidden.bias": back.sum(axis=0),
        "output.weight": inner.T @ outer,
        "output.bias": outer.sum(axis=0),
    }


def _batches(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    return (order[start : start + size] for start in range(0, len(order), size))
