"""The figures of a federated run: who was compared with whom, and how the model got better. Values only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rondo.simulator.thyroid.clinic import ranks

ALL = "all"
RowKind = Literal["alone", "mean", "last", "best", "pooled"]


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve on ``patients`` (``findings`` of them with one), with its 95 % interval.

    NaN where it is not defined, as the interval of a perfect separation or of a mean of several models.
    """

    value: float
    low: float
    high: float
    patients: int
    findings: int


@dataclass(frozen=True)
class Row:
    """One model: its AUC on each clinic's test patients and on ``ALL`` of them."""

    name: str
    kind: RowKind
    aucs: Mapping[str, Auc]


@dataclass(frozen=True)
class Point:
    """What the model that ``version`` rounds have trained reached on the clinics' validation patients."""

    version: int
    sites: Mapping[str, float]
    mean: float


@dataclass(frozen=True)
class Clinic:
    """How many patients a clinic used for what; ``findings`` among all of them."""

    site: str
    train: int
    validation: int
    test: int
    findings: int


@dataclass(frozen=True)
class RunFacts:
    """What was run. ``started``: seconds since the epoch; ``seconds``: how long; digests: "blake3:...".

    ``best_version``: the version that scored best on validation patients, None where there is none. ``notes``: what
    else happened (a server that was killed and went on), one sentence each.
    """

    job: str
    number: int
    rounds: int
    seed: str
    started: float
    seconds: float
    last_digest: str
    best_digest: str
    best_version: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """Everything that the report shows. ``rows``: the clinics alone, their mean, last, best, pooled."""

    run: RunFacts
    versions: Mapping[str, str]
    clinics: tuple[Clinic, ...]
    rows: tuple[Row, ...]
    curve: tuple[Point, ...]

    def row(self, kind: RowKind) -> Row:
        """The one row of this kind (not "alone", of which there are several)."""
        return next(row for row in self.rows if row.kind == kind)

    @property
    def alone(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kind == "alone")

    @property
    def columns(self) -> tuple[str, ...]:
        """The clinics, and ``ALL``."""
        return (*(clinic.site for clinic in self.clinics), ALL)


def area(y: NDArray[np.float64], rated: NDArray[np.float64]) -> Auc:
    """AUC with the interval of DeLong et al. 1988 (Biometrics 44:837) on the scale of its log-odds.

    On that scale the interval stays within 0 and 1 (Pepe 2003, section 5.2). ``y``: 1 where there is a finding.
    """
    found = y > 0.5
    ill, well = int(found.sum()), int((~found).sum())
    if not ill or not well:
        return Auc(math.nan, math.nan, math.nan, len(y), ill)
    order = ranks(rated)
    above = (order[found] - ranks(rated[found])) / well  # for each patient with a finding: the share rated lower
    below = 1.0 - (order[~found] - ranks(rated[~found])) / ill
    value = float(above.mean())
    low, high = math.nan, math.nan  # of a perfect separation the sample says nothing about the spread
    if min(ill, well) > 1 and 0.0 < value < 1.0:
        spread = math.sqrt(float(above.var(ddof=1) / ill + below.var(ddof=1) / well))
        odds, reach = math.log(value / (1.0 - value)), 1.96 * spread / (value * (1.0 - value))
        low, high = (1.0 / (1.0 + math.exp(-(odds + side * reach))) for side in (-1.0, 1.0))
    return Auc(value, low, high, len(y), ill)


def mean_row(rows: Sequence[Row]) -> Row:
    """The plain mean of some models' figures, column by column."""
    aucs = {}
    for column, first in rows[0].aucs.items():
        values = [row.aucs[column].value for row in rows]
        aucs[column] = Auc(float(np.mean(values)), math.nan, math.nan, first.patients, first.findings)
    return Row("Mean of the clinics alone", "mean", aucs)


def learning_curve(events: Iterable[Mapping[str, Any]], metric: str = "auc") -> tuple[Point, ...]:
    """The run's validation metrics by version, from the ledger's events ``update_accepted`` and ``round_committed``.

    A round measures the model it starts from, so the metrics of round r are those of version r; the validation at
    the end bears the number of the last version. Only what is committed is shown.
    """
    sites: dict[int, dict[str, float]] = {}
    points = []
    for event in events:
        data = event["data"]
        if metric not in data.get("metrics", {}):
            continue
        if event["kind"] == "update_accepted":
            sites.setdefault(data["round"], {})[data["client"]] = data["metrics"][metric]
        elif event["kind"] == "round_committed":
            points.append(Point(data["round"], sites.get(data["round"], {}), data["metrics"][metric]))
    return tuple(sorted(points, key=lambda point: point.version))
