from __future__ import annotations

import os
import resource
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from rondo.aggregate.folding import Way, fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.base.errors import BadInput
from rondo.tensors.digest import file_digest
from rondo.tensors.dtypes import Array, from_float64, to_float64
from rondo.tensors.files import TensorFile, write_tensors

MEAN = build_rule("mean", {})
MEDIAN = build_rule("median", {})


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


class Round:
    """A base model and what sites sent."""

    def __init__(self, folder: Path, base: Mapping[str, Array], dtypes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.dtypes = dtypes
        self.base = write_tensors(folder / "base", base, dtypes).path
        self.sent: list[Contribution] = []

    def send(
        self,
        site: str,
        arrays: Mapping[str, Array],
        kind: Literal["weights", "diff"] = "weights",
        weight: float = 1.0,
        omitted: tuple[str, ...] = (),
        unused: tuple[str, ...] = (),
        scale: float = 1.0,
    ) -> None:
        path = write_tensors(self.folder / site, arrays, self.dtypes).path
        self.sent.append(Contribution(site, path, kind, weight, frozenset(omitted), frozenset(unused), scale))

    def fold(self, rule: object = MEAN, **way: int) -> dict[str, Array]:
        out = self.folder / "out"
        folded = fold(self.base, self.sent, rule, out, way=Way(**way))  # type: ignore[arg-type]
        assert folded.model == file_digest(out) and folded.memory is None
        with TensorFile(out) as file, TensorFile(self.base) as base:
            assert file.layout == base.layout
            return {name: array.copy() for name, array in file.items()}


def test_weights_are_averaged_by_weight(tmp_path: Path) -> None:
    now = Round(tmp_path, {"w": f32(0, 0), "b": np.array(0.0)})
    now.send("a", {"w": f32(1, 2), "b": np.array(4.0)}, weight=3)
    now.send("b", {"w": f32(5, 10), "b": np.array(8.0)}, weight=1)
    result = now.fold()
    assert result["w"].tolist() == [2.0, 4.0] and result["b"] == 5.0


def test_a_difference_is_added_to_the_base_also_beside_full_weights(tmp_path: Path) -> None:
    now = Round(tmp_path, {"w": f32(10, 20)})
    now.send("a", {"w": f32(1, -2)}, "diff")
    now.send("b", {"w": f32(13, 22)})
    assert now.fold()["w"].tolist() == [12.0, 20.0]
    assert now.fold(MEDIAN)["w"].tolist() == [12.0, 20.0]


def test_a_tensor_is_folded_over_those_who_sent_it(tmp_path: Path) -> None:
    now = Round(tmp_path, {"all": f32(0), "none": f32(7), "some": f32(0)})
    now.send("a", {"all": f32(2), "some": f32(5)}, weight=1, omitted=("none",))
    now.send("b", {"all": f32(4)}, weight=3, omitted=("none", "some"))
    result = now.fold()
    assert (result["all"], result["some"], result["none"]) == (3.5, 5.0, 7.0)


def test_what_is_not_used_keeps_its_old_value(tmp_path: Path) -> None:
    now = Round(tmp_path, {"head": f32(7), "n": np.array(1), "w": f32(0)})
    now.send("a", {"head": f32(1), "n": np.array(5), "w": f32(2)}, unused=("head", "n"))
    now.send("b", {"head": f32(2), "n": np.array(6), "w": f32(4)}, unused=("head", "n"))
    result = now.fold()
    assert (result["head"], result["n"], result["w"]) == (7.0, 1, 3.0)


@pytest.mark.parametrize("rule", [MEAN, MEDIAN])
def test_a_scale_is_of_the_difference_to_the_base(tmp_path: Path, rule: object) -> None:
    now = Round(tmp_path, {"w": f32(10)})
    now.send("a", {"w": f32(4)}, "diff", scale=1.5)  # counts as 6
    now.send("b", {"w": f32(14)}, scale=0.5)  # counts as 2
    assert now.fold(rule)["w"] == 14.0
    now.sent = now.sent[:1]
    assert now.fold(rule)["w"] == 16.0
    with pytest.raises(BadInput, match="scale 0 is not a positive number"):
        now.send("c", {"w": f32(1)}, scale=0)


def test_integers_take_the_largest_and_bools_the_base(tmp_path: Path) -> None:
    big = 2**63 - 1  # float64 could not hold it
    now = Round(tmp_path, {"n": np.array([5, 5]), "flag": np.array([True, False]), "u": np.array([250], np.uint8)})
    now.send("a", {"n": np.array([6, big]), "flag": np.array([False, False]), "u": np.array([1], np.uint8)})
    now.send("b", {"n": np.array([2, -9]), "flag": np.array([False, True]), "u": np.array([251], np.uint8)}, "diff")
    result = now.fold()
    assert result["n"].tolist() == [7, big]
    assert result["flag"].tolist() == [True, False]
    assert result["u"].tolist() == [245]  # 250 + 251 wraps to 245; the site meant a counter that went down by 5


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_short_floats_are_folded_in_float64_and_rounded_once(tmp_path: Path, dtype: str) -> None:
    def stored(*values: float) -> Array:
        return from_float64(np.array(values), dtype)

    now = Round(tmp_path, {"w": stored(0, 0)}, {"w": dtype})
    now.send("a", {"w": stored(1, 256)})
    now.send("b", {"w": stored(2, 3)})
    now.send("c", {"w": stored(2, 3)}, weight=2)
    assert to_float64(now.fold()["w"], dtype).tolist() == to_float64(stored(1.75, 66.25), dtype).tolist()


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    now = Round(tmp_path, {"w": np.zeros(50, np.float32)})
    rng = np.random.default_rng(1)
    for site in "dabc":
        now.send(site, {"w": rng.normal(size=50).astype(np.float32)}, weight=float(rng.uniform(1, 9)))
    results = [now.fold()["w"].tobytes()]
    for _ in range(3):
        now.sent = now.sent[1:] + now.sent[:1]
        results.append(now.fold()["w"].tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("segment", [1, 8, 20, 1 << 20])
@pytest.mark.parametrize("rule", [MEAN, MEDIAN])
def test_segments_do_not_change_the_result(tmp_path: Path, segment: int, rule: object) -> None:
    rng = np.random.default_rng(2)
    base = {"a": rng.normal(size=(3, 3)), "b": rng.normal(size=7), "c": np.arange(5), "d": rng.normal(size=())}
    now = Round(tmp_path, base)
    for site in "abc":
        now.send(site, {name: array + 1 for name, array in base.items()})
    result = now.fold(rule, segment_bytes=segment)
    assert all(np.array_equal(result[name], array + 1) for name, array in base.items())


def test_progress_rises_to_one(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": np.zeros(10), "b": np.zeros(10, np.float32)})
    now.send("a", {"a": np.ones(10), "b": np.ones(10, np.float32)})
    seen: list[float] = []
    fold(now.base, now.sent, MEAN, tmp_path / "out", way=Way(segment_bytes=40, progress=seen.append))
    assert seen == pytest.approx([1 / 3, 2 / 3, 1.0])
    empty = Round(tmp_path / "empty", {})
    empty.send("a", {})
    fold(empty.base, empty.sent, MEAN, tmp_path / "out", way=Way(progress=seen.append))
    assert seen[-1] == 1.0 and len(seen) == 4


def test_nobody_contributed(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": f32(1)})
    with pytest.raises(BadInput, match="no contribution"):
        now.fold()


def test_one_site_twice(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": f32(1)})
    now.send("ward", {"a": f32(1)})
    now.send("ward", {"a": f32(2)})
    with pytest.raises(BadInput, match="ward: contributed twice"):
        now.fold()


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none(tmp_path: Path, weight: float) -> None:
    with pytest.raises(BadInput, match="contribution of ward: weight"):
        Contribution("ward", tmp_path, "diff", weight)
    with pytest.raises(BadInput, match="unknown kind 'gradient'"):
        Contribution("ward", tmp_path, "gradient", 1.0)  # type: ignore[arg-type]


def test_an_update_of_another_layout_names_the_site(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": f32(1)})
    now.send("ward", {"b": f32(1)})
    with pytest.raises(BadInput, match=r"update of ward: .*'a' is missing"):
        now.fold()


@pytest.mark.parametrize("rule", [MEAN, MEDIAN])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_names_site_tensor_and_place(tmp_path: Path, rule: object, bad: float) -> None:
    now = Round(tmp_path, {"a": f32(1, 2), "b": f32(1, 2, 3)})
    for site, value in zip("uvw", [1.0, bad, 1.0], strict=True):
        now.send(site, {"a": f32(1, 2), "b": f32(1, 2, value)})
    with pytest.raises(BadInput, match=r"update of v: tensor 'b' holds NaN .*flat index 2\)"):
        now.fold(rule, segment_bytes=16)
    assert not (tmp_path / "out").exists()


def test_a_result_that_overflows_names_the_tensor_and_who_made_it(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": f32(0), "b": f32(1, 1e38)})
    for site, value in zip("rstuv", (1, 3.1e38, 3.2e38, 3.3e38, 3e38), strict=True):
        now.send(site, {"a": f32(0), "b": f32(1, value)}, "diff")
    says = (
        r"fold of 5 updates: tensor 'b' becomes too large for F32 at flat index 1; the largest values came from "
        r"u \(1e\+38 \+ 3\.3e\+38\), t \(.*\), s \(.*\) and 2 more \(look for"
    )
    with pytest.raises(BadInput, match=says):
        now.fold()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_equal_updates_give_that_update_whatever_their_weights(tmp_path: Path, dtype: str) -> None:
    values = from_float64(np.random.default_rng(3).normal(size=1000), dtype)
    now = Round(tmp_path, {"w": np.zeros_like(values)}, {"w": dtype})
    for site, weight in zip("abcde", (3.0, 0.7, 11.0, 1e-9, 1e9), strict=True):
        now.send(site, {"w": values}, weight=weight)
    assert now.fold()["w"].tobytes() == values.tobytes()


@pytest.mark.parametrize("weight", [1.5e308, 5e-324])
def test_no_sum_overflows_on_the_way_to_a_mean_that_does_not(tmp_path: Path, weight: float) -> None:
    now = Round(tmp_path, {"w": np.array([0.0]), "v": f32(0)})
    for site in "abc":
        now.send(site, {"w": np.array([1.5e308]), "v": f32(3e38)}, weight=weight)
    result = now.fold()
    assert result["w"].tolist() == [1.5e308] and result["v"] == f32(3e38)


def test_an_infinity_is_found_also_beside_a_weight_that_outweighs_it_by_far(tmp_path: Path) -> None:
    now = Round(tmp_path, {"w": f32(0)})
    now.send("a", {"w": f32(np.inf)}, weight=5e-324)
    now.send("b", {"w": f32(1)}, weight=1e300)
    with pytest.raises(BadInput, match="update of a: tensor 'w' holds NaN or infinity"):
        now.fold()


def test_a_file_that_was_cut_after_it_was_checked(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": np.zeros(100)})
    now.send("ward", {"a": np.zeros(100)})
    os.truncate(tmp_path / "ward", 500)
    with pytest.raises(BadInput, match="ward: header describes"):
        now.fold()


def test_more_sites_than_files_may_be_open(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": np.zeros(3)})
    for number in range(80):
        now.send(f"site{number}", {"a": np.full(3, float(number))})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = max(int(name) for name in os.listdir("/proc/self/fd")) + 10
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        assert now.fold(MEDIAN)["a"].tolist() == [39.5] * 3
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("rule", [MEAN, MEDIAN])
def test_memory_does_not_grow_with_the_model(tmp_path: Path, rule: object) -> None:
    peaks = []
    for count in (50_000, 1_000_000):
        now = Round(tmp_path / str(count), {"a": np.zeros(count, np.float32)})
        for site in "abcd":
            now.send(site, {"a": np.ones(count, np.float32)}, "diff")
        tracemalloc.start()
        way = Way(segment_bytes=1 << 16)
        fold(now.base, now.sent, rule, tmp_path / "out", way=way)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 4_000_000


def test_memory_does_not_grow_with_the_sites(tmp_path: Path) -> None:
    now = Round(tmp_path, {"a": np.zeros(250_000, np.float32)})
    for number in range(40):
        now.send(f"site{number}", {"a": np.full(250_000, number, np.float32)})
    tracemalloc.start()
    result = now.fold(MEDIAN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(result["a"], np.full(250_000, 19.5, np.float32))
    assert peak < 15_000_000  # all rows of one segment together take 80 MB
