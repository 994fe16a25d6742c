from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import BadInput, NotFound
from rondo.filters.chain import UpdateFile, check_filters, run_chain
from rondo.tensors.digest import file_digest
from rondo.tensors.dtypes import Array, from_float64, to_float64
from rondo.tensors.files import TensorFile, write_tensors

DTYPES = {"h": "BF16"}


def bf16(*values: float) -> Array:
    return from_float64(np.array(values), "BF16")


BASE: dict[str, Array] = {
    "w": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
    "h": bf16(1, 2),
    "s": np.array(5.0),
    "n": np.array([10, 20], np.uint8),
    "flag": np.array(True),
}
AFTER: dict[str, Array] = {
    "w": np.array([[1.5, 2.0], [2.0, 8.0]], np.float32),
    "h": bf16(1.5, 0),
    "s": np.array(7.0),
    "n": np.array([11, 19], np.uint8),
    "flag": np.array(False),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tensors(tmp_path / "model", BASE, DTYPES).path


def sent(folder: Path, arrays: Mapping[str, Array], **claims: object) -> UpdateFile:
    path = write_tensors(folder / "update", arrays, DTYPES).path
    return replace(UpdateFile(path, "weights"), **claims)  # type: ignore[arg-type]


def read(path: Path) -> dict[str, Array]:
    with TensorFile(path) as file:
        return {name: array.copy() for name, array in file.items()}


def test_weights_become_differences(model: Path, tmp_path: Path) -> None:
    result = run_chain(model, sent(tmp_path, AFTER), [], 0, tmp_path / "out")
    assert result.kind == "diff" and result.omitted == frozenset()
    assert result.file == file_digest(tmp_path / "out")
    found = read(tmp_path / "out")
    assert found["w"].tolist() == [[0.5, 0.0], [-1.0, 4.0]] and found["w"].dtype == np.float32
    assert to_float64(found["h"], "BF16").tolist() == [0.5, -2.0]
    assert found["s"] == 2.0
    assert found["n"].tolist() == [1, 255]  # wraps: 20 + 255 is 19 in eight bits
    assert found["flag"] == np.False_


def test_differences_stay_what_they_are(model: Path, tmp_path: Path) -> None:
    first = run_chain(model, sent(tmp_path, AFTER), [], 0, tmp_path / "first")
    again = UpdateFile(first.file.path, "diff")
    assert run_chain(model, again, [], 0, tmp_path / "again").file.digest == first.file.digest


def test_filters_run_in_order(model: Path, tmp_path: Path) -> None:
    update = sent(tmp_path, AFTER, steps=2.0)
    chain = [("exclude_vars", {"vars": ["h", "n"]}), ("percentile", {"percentile": 50.0, "gamma": 0.6})]
    result = run_chain(model, update, chain, 0, tmp_path / "out")
    assert result.omitted == {"h", "n"}
    # Per step: .25 0 .5 2 and 1, without h; the median is .5.
    assert read(tmp_path / "out")["w"].tolist() == [[0.0, 0.0], [-1.0, np.float32(1.2)]]
    assert read(tmp_path / "out")["s"] == 1.2
    assert list(read(tmp_path / "out")) == ["flag", "s", "w"]


def test_what_the_trainer_omitted_stays_omitted(model: Path, tmp_path: Path) -> None:
    arrays = {name: array for name, array in AFTER.items() if name != "w"}
    update = sent(tmp_path, arrays, omitted=frozenset({"w"}))
    result = run_chain(model, update, [("exclude_vars", {"vars": "^n$"})], 0, tmp_path / "out")
    assert result.omitted == {"w", "n"} and list(read(tmp_path / "out")) == ["flag", "h", "s"]


def test_chance_comes_from_the_seed_alone_and_each_filter_has_its_own(model: Path, tmp_path: Path) -> None:
    update = sent(tmp_path, AFTER)
    svt = ("svt", {"gamma": 1.0, "fraction": 1.0, "noise_var": 20.0})
    digests = [
        run_chain(model, update, chain, seed, tmp_path / "out").file.digest
        for chain, seed in [
            ([svt], 1),
            ([svt], 1),
            ([svt], 2),
            ([("percentile", {"percentile": 0.0, "gamma": 1e9})], 1),
        ]
    ]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    first = read(run_chain(model, update, [svt, ("exclude_vars", {"vars": "dummy"})], 1, tmp_path / "out").file.path)
    alone = read(run_chain(model, update, [svt], 1, tmp_path / "out").file.path)
    assert all(np.array_equal(first[name], alone[name]) for name in alone)


def test_wrong_filters_fail_before_anything_is_read(tmp_path: Path) -> None:
    update = UpdateFile(tmp_path / "gone", "diff")
    for chain, error in [
        ([("exclude_vars", {"vars": "x"}), ("percentile", {"gama": 1.0})], BadInput),
        ([("percentil", {})], NotFound),
        ([("chain", {})], NotFound),
    ]:
        with pytest.raises(error, match=r"did you mean|in filters"):
            run_chain(tmp_path / "gone", update, chain, 0, tmp_path / "out")  # type: ignore[arg-type]
        with pytest.raises(error):
            check_filters(chain)  # type: ignore[arg-type]
    check_filters([("svt", {}), ("svt", {"gamma": 1.0})])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_update_that_is_not_finite_stays_at_home(model: Path, tmp_path: Path, bad: float) -> None:
    update = sent(tmp_path, AFTER | {"w": np.array([[1.5, 2.0], [bad, 8.0]], np.float32)})
    with pytest.raises(BadInput, match=r"^update: tensor 'w' holds NaN .*flat index 2\)"):
        run_chain(model, update, [("percentile", {})], 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_update_of_another_layout_stays_at_home(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"update: tensors differ .*'h' is missing"):
        run_chain(model, sent(tmp_path, {"w": AFTER["w"]}), [], 0, tmp_path / "out")


def test_a_difference_too_large_for_its_dtype_stays_at_home(model: Path, tmp_path: Path) -> None:
    low = write_tensors(tmp_path / "low", {"a": np.array([-3e38], np.float32)}).path
    high = write_tensors(tmp_path / "high", {"a": np.array([3e38], np.float32)}).path
    with pytest.raises(BadInput, match=r"update, rounded to F32: tensor 'a' holds NaN or infinity"):
        run_chain(low, UpdateFile(high, "weights"), [], 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()
