"""The real patients, prepared once, and one federation of them within this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.jobs.job import read_job
from rondo.jobs.task import derive_seed
from rondo.simulator.figures import Results, RunFacts
from rondo.simulator.report import Training, baselines, compare, sites_of
from rondo.simulator.thyroid import clinic, data

JOB = Path(data.__file__).parent


@dataclass(frozen=True)
class Federation:
    """What a run of the job leaves: ledger events, the last and the best model, the version of the best."""

    events: tuple[Mapping[str, Any], ...]
    last: clinic.Model
    best: clinic.Model
    best_version: int


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patients")
    data.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def training() -> Training:
    job = read_job(JOB)
    recipe = clinic.Recipe(**job.client.trainer.options["args"])
    return Training(job.server.num_rounds, job.server.seed, recipe, job.model.args)


@pytest.fixture(scope="session")
def federation(patients: Path, training: Training) -> Federation:
    return federate(patients, training)


@pytest.fixture(scope="session")
def alone(patients: Path, training: Training) -> dict[str, clinic.Model]:
    return baselines(patients, training)


@pytest.fixture(scope="session")
def results(patients: Path, training: Training, federation: Federation, alone: dict[str, clinic.Model]) -> Results:
    run = RunFacts(
        job="thyroid",
        number=1,
        rounds=training.rounds,
        seed=training.seed,
        started=1_795_000_000.0,
        seconds=12.5,
        last_digest="blake3:" + "a1" * 32,
        best_digest="blake3:" + "b2" * 32,
        best_version=federation.best_version,
        notes=("The server was killed in round 3 & <went on>.",),
    )
    federated = {"last": federation.last, "best": federation.best}
    return compare(patients, run, federation.events, federated, alone)


def federate(patients: Path, training: Training) -> Federation:
    """Federated averaging (McMahan et al. 2017, arXiv 1602.05629) as the job asks for it, without a network."""
    sites = sorted(sites_of(patients))
    own = {site: clinic.read_records(patients / site / "train.npz") for site in sites}
    watched = {site: clinic.read_records(patients / site / "validation.npz") for site in sites}
    samples = {site: len(own[site].y) for site in sites}
    model: clinic.Model = clinic.new_model(**(training.model_args or {}))
    best, events = (-1.0, 0, model), []
    for version in range(training.rounds + 1):
        task = "train" if version < training.rounds else "validate"
        metrics = {site: clinic.measure(model, watched[site]) for site in sites}
        for site in sites:
            about = {"client": site, "round": version, "task": task, "metrics": metrics[site]}
            events.append({"kind": "update_accepted", "data": about})
        mean = sum(metrics[site]["auc"] * samples[site] for site in sites) / sum(samples.values())
        events.append({"kind": "round_committed", "data": {"round": version, "task": task, "metrics": {"auc": mean}}})
        if mean > best[0]:
            best = (mean, version, model)
        if task == "train":
            model = _mean_of(
                {
                    site: clinic.fit(model, own[site], training.recipe, derive_seed(training.seed, site, version))
                    for site in sites
                },
                samples,
            )
    return Federation(tuple(events), model, best[2], best[1])


def _mean_of(models: Mapping[str, clinic.Model], samples: Mapping[str, int]) -> clinic.Model:
    names = next(iter(models.values())).keys()
    total = sum(samples.values())
    return {
        name: (
            sum((models[site][name].astype(np.float64) * samples[site] for site in sorted(models)), np.float64(0))
            / total
        ).astype(np.float32)
        for name in names
    }
