"""The arithmetic of each rule, on numbers that can be checked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rondo.aggregate._sorting import sorted_rows
from rondo.aggregate.seam import Column, Fold, build_rule
from rondo.base.errors import BadInput, NotFound


def column(name: str, values: list[list[float]], options: Mapping[str, Any] | None = None) -> list[float]:
    rule = build_rule(name, options or {})
    assert isinstance(rule, Column) and not isinstance(rule, Fold)
    return rule.reduce([np.array(row) for row in values], [1.0] * len(values)).tolist()


def folded(values: list[float], weights: list[float]) -> float:
    rule = build_rule("mean", {})
    assert isinstance(rule, Fold) and not isinstance(rule, Column)
    total, whole = np.array([np.nan]), sum(weights)
    for place, (value, weight) in enumerate(zip(values, weights, strict=True)):
        rule.add(total, np.array([value]), weight / whole, not place)
    return float(total[0])


def test_mean_weighs() -> None:
    assert folded([1.0, 4.0], [1.0, 2.0]) == 3.0
    assert folded([1.0, 2.0, 6.0], [1.0, 1.0, 2.0]) == 3.75
    assert folded([7.0], [0.25]) == 7.0


def test_median_is_the_middle() -> None:
    assert column("median", [[9.0, -1.0], [1.0, -2.0], [5.0, -9.0]]) == [5.0, -2.0]
    assert column("median", [[9.0], [1.0], [5.0], [4.0]]) == [4.5]
    assert column("median", [[9.0]]) == [9.0]


def test_one_site_does_not_move_the_median_far() -> None:
    assert column("median", [[1.0], [2.0], [1e300]]) == [2.0]


def test_trimmed_mean_leaves_out_both_ends() -> None:
    assert column("trimmed_mean", [[100.0], [1.0], [3.0], [-100.0]], {"trim": 0.25}) == [2.0]
    assert column("trimmed_mean", [[100.0], [1.0], [4.0], [-100.0]], {"trim": 0.2}) == [1.25]
    assert column("trimmed_mean", [[1.0], [2.0], [6.0]], {"trim": 0.0}) == [3.0]
    assert column("trimmed_mean", [[1.0], [2.0], [6.0]], {"trim": 0.49}) == [2.0]
    assert column("trimmed_mean", [[1.0], [2.0]], {"trim": 0.49999999999}) == [1.5]
    assert column("trimmed_mean", [[0.1]] * 3, {"trim": 0.1}) == [0.1]


def test_trimming_a_hundred_sites_takes_the_number_people_expect() -> None:
    # 0.29 * 100 is 28.999999999999996
    values = [[1e6]] * 29 + [[1.0]] * 42 + [[-1e6]] * 29
    assert column("trimmed_mean", values, {"trim": 0.29}) == [1.0]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 32, 67])
def test_rows_are_sorted(count: int) -> None:
    rows = np.random.default_rng(count).integers(0, 9, (count, 50)).astype(np.float64)
    assert np.array_equal(sorted_rows(list(rows.copy())), np.sort(rows, axis=0))


@pytest.mark.parametrize("trim", [-0.1, 0.5, 1.0, float("nan"), "a"])
def test_a_wrong_trim_is_refused(trim: object) -> None:
    with pytest.raises(BadInput, match=r"aggregator trimmed_mean: .*trim"):
        build_rule("trimmed_mean", {"trim": trim})


def test_unknown_rules_and_options_name_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"no 'meen' in aggregate .*did you mean 'mean'"):
        build_rule("meen", {})
    with pytest.raises(BadInput, match=r"unknown key 'trimm'.*did you mean 'trim'"):
        build_rule("trimmed_mean", {"trimm": 0.1})
    with pytest.raises(NotFound, match="no 'seam'"):
        build_rule("seam", {})
