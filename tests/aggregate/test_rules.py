"""The arithmetic of each rule, on numbers that can be checked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from rondo.aggregate._sorting import between, ranked
from rondo.aggregate.seam import Column, Fold, Remembers, Survey, build_rule
from rondo.base.errors import BadInput, NotFound


def column(name: str, values: list[list[float]], options: Mapping[str, Any] | None = None) -> list[float]:
    rule = build_rule(name, options or {})
    assert isinstance(rule, Column) and not isinstance(rule, Fold)
    return rule.reduce([np.array(row) for row in values], [1.0] * len(values)).tolist()


def folded(values: list[float], weights: list[float]) -> float:
    rule = build_rule("mean", {})
    assert isinstance(rule, Fold) and not isinstance(rule, Column)
    total = np.array([np.nan])
    for place, (value, weight) in enumerate(zip(values, weights, strict=True)):
        rule.add(total, np.array([value]), weight, not place)
    rule.finish(total, sum(weights))
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 32, 67])
def test_rows_are_sorted(count: int, dtype: type) -> None:
    rows = np.random.default_rng(count).integers(0, 9, (count, 50)).astype(dtype)
    ordered = np.sort(rows, axis=0)
    for first, last in ((0, count), (count // 2, count // 2 + 1), (0, 1), (count - 1, count)):
        assert np.array_equal(ranked(list(rows.copy()), first, last), ordered[first:last])
    for cut in {0, 1, count // 3, (count - 1) // 2}:
        if 2 * cut < count:
            kept = np.sort(between(list(rows.copy()), cut), axis=0)
            assert np.array_equal(kept, ordered[cut : count - cut]) and kept.dtype == dtype


def test_rows_of_short_floats_are_reduced_in_float64() -> None:
    rows = [np.array([value], np.float32) for value in (1.0, 2.0**-30, 5.0, 7.0)]
    assert column("median", [[1.0], [1.0 + 2.0**-23]]) == [1.0 + 2.0**-24]
    for name, expected in (("median", 3.0), ("trimmed_mean", (13 + 2.0**-30) / 4)):
        rule = build_rule(name, {})
        assert isinstance(rule, Column)
        result = rule.reduce([row.copy() for row in rows], [1.0] * 4)
        assert result.tolist() == [expected] and result.dtype == np.float64


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


def chosen(values: list[list[float]], **options: int) -> Sequence[int]:
    rule = build_rule("krum", options)
    assert isinstance(rule, Survey) and isinstance(rule, Fold)
    return rule.choose(rule.look([np.array(row) for row in values]))


FIVE = [[0.0], [1.0], [0.5], [0.625], [100.0]]
"""Sums of squared distances to the nearest two: 0.640625, 0.390625, 0.265625, 0.15625, 19682.0."""


def test_krum_keeps_who_lies_closest_to_most_others() -> None:
    assert chosen(FIVE) == [3]
    assert chosen(FIVE, keep=2) == [2, 3]
    assert chosen([[row[0], 2.0] for row in FIVE[::-1]], keep=2) == [1, 2]


def test_krum_looks_at_distances() -> None:
    rule = build_rule("krum", {})
    assert isinstance(rule, Survey)
    assert rule.look([np.array([0.0, 3.0]), np.array([4.0, 0.0])]).tolist() == [[0.0, 25.0], [25.0, 0.0]]
    far = np.array([[0.0, np.nan, np.inf, 1.0, 1.0]] * 5)
    assert rule.choose(far) == [0]


def test_colluding_sites_do_not_outvote_the_others() -> None:
    honest = [[float(number), 1.0] for number in (1, 2, 3, 4, 5)]
    assert all(number < 5 for number in chosen([*honest, [1e6, 1e6], [1e6, 1e6]], byzantine=2, keep=3))


def test_of_equal_updates_the_first_by_name_is_kept() -> None:
    assert chosen([[7.0]] * 6, byzantine=0, keep=2) == [0, 1]


def test_krum_says_how_many_updates_it_needs() -> None:
    with pytest.raises(BadInput, match=r"byzantine = 2 and keep = 1 needs 7 updates, this round has 5"):
        chosen(FIVE, byzantine=2)
    with pytest.raises(BadInput, match=r"byzantine = 0 and keep = 4 needs 6 updates, this round has 5"):
        chosen(FIVE, byzantine=0, keep=4)
    for options in ({"byzantine": -1}, {"keep": 0}, {"keep": 1.5}):
        with pytest.raises(BadInput, match="aggregator krum"):
            build_rule("krum", options)


def stepped(changes: list[float], **options: object) -> list[float]:
    """The steps of the server's optimizer for these mean changes of one weight, round after round."""
    rule = build_rule("fedopt", options)
    assert isinstance(rule, Remembers) and isinstance(rule, Fold)
    memory, steps = [np.array([value]) for value in rule.initial], []
    for change in changes:
        step = np.array([change])
        rule.step(step, memory)
        steps.append(float(step[0]))
    return steps


EASY = {"learning_rate": 1.0, "beta1": 0.5, "beta2": 0.75, "tau": 1.0}


def test_the_steps_of_fedopt() -> None:
    # m: 1, 0.5; v: 0.75 x 1 + 0.25 x 4 = 1.75, 0.75 x 1.75 = 1.3125
    assert stepped([2.0, 0.0], variant="adam", **EASY) == pytest.approx([1 / (1.75**0.5 + 1), 0.5 / (1.3125**0.5 + 1)])
    # v: 1 + 0.25 x 4 = 2, then 2 - 0.25 x 0 = 2
    assert stepped([2.0, 0.0], variant="yogi", **EASY) == pytest.approx([1 / (2**0.5 + 1), 0.5 / (2**0.5 + 1)])
    # a square below v lets yogi's v fall by a quarter of that square: 1 - 0.25 x 0.25
    assert stepped([0.5], variant="yogi", **EASY) == pytest.approx([0.25 / (0.9375**0.5 + 1)])
    # v: 1 + 4 = 5, 5 + 4 = 9; m without beta1 is the change itself
    adagrad = {**EASY, "beta1": 0.0, "variant": "adagrad"}
    assert stepped([2.0, -2.0], **adagrad) == pytest.approx([2 / (5**0.5 + 1), -2 / (3 + 1)])
    assert stepped([2.0, 0.0, -1.0], variant="momentum", learning_rate=0.5, beta1=0.5) == [1.0, 0.5, -0.25]


def test_the_defaults_of_fedopt_are_those_of_the_paper() -> None:
    moments = 0.01 * 4 + 0.99 * 1e-6
    assert stepped([2.0]) == pytest.approx([0.1 * 0.1 * 2 / (moments**0.5 + 1e-3)])
    assert stepped([2.0], variant="adagrad") == pytest.approx([0.1 * 2 / ((4 + 1e-6) ** 0.5 + 1e-3)])
    assert stepped([2.0, 1.0], variant="momentum") == pytest.approx([2.0, 2.8])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("variant", "adamw"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("tau", 0.0),
        ("tau", float("inf")),
    ],
)
def test_a_wrong_option_of_fedopt_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadInput, match=rf"aggregator fedopt: .*{key}"):
        build_rule("fedopt", {key: value})
