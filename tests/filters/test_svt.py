from __future__ import annotations

import numpy as np
import pytest

from rondo.base.errors import BadInput
from tests.filters.outgoing import applied, built, outgoing


def changes(count: int = 1000) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, count)


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 1.0])
def test_exactly_the_fraction_is_sent_and_nothing_beyond_gamma(fraction: float) -> None:
    sent = applied("svt", outgoing({"a": changes()}), fraction=fraction, gamma=0.5)["a"]
    assert np.count_nonzero(sent) == np.ceil(1000 * fraction)
    assert np.abs(sent).max() <= 0.5


def test_little_noise_leaves_the_clipped_change() -> None:
    update = outgoing({"a": changes(), "b": changes(7).reshape(7, 1)}, steps=4)
    sent = applied("svt", update, fraction=1.0, epsilon=1e12, noise_var=1e12, gamma=0.2, tau=1e-9)
    for name in "ab":
        assert np.allclose(sent[name], np.clip(update.tensors[name] / 4, -0.2, 0.2) * 4, atol=1e-9)


def test_with_a_large_budget_the_large_changes_are_chosen() -> None:
    values = np.concatenate([np.full(100, 0.9), np.full(900, 0.1)])
    sent = applied("svt", outgoing({"a": values}), fraction=0.1, epsilon=1e9, noise_var=1e9, gamma=1.0, tau=0.5)["a"]
    assert np.flatnonzero(sent).tolist() == list(range(100))


def test_noise_has_the_scale_that_noise_var_gives() -> None:
    update = outgoing({"a": np.zeros(20_000)})
    sent = applied("svt", update, fraction=1.0, epsilon=1e9, noise_var=20.0, gamma=1.0, tau=1e-9)["a"]
    # Laplace of scale 2 * gamma / noise_var has its mean size there, and all but exp(-10) of it below gamma.
    assert np.abs(sent).mean() == pytest.approx(0.1, rel=0.03)


def test_the_literal_form_leaves_what_was_accepted_but_not_chosen_as_it_was() -> None:
    values = np.concatenate([np.full(200, 0.9), np.full(800, 0.1)])
    way = {"fraction": 0.1, "epsilon": 1e9, "noise_var": 20.0, "gamma": 0.5, "tau": 0.4, "literal": True}
    sent = applied("svt", outgoing({"a": values}), **way)["a"]
    bare, noisy = np.flatnonzero(sent == 0.9), np.flatnonzero((sent != 0.9) & (sent != 0.0))
    assert not sent[200:].any()  # never accepted
    assert 200 - 100 < len(bare) < 200  # beyond gamma, without noise; drawn twice means fewer than 100 were chosen
    assert len(bare) + len(noisy) == 200 and np.abs(sent[noisy]).max() <= 0.5
    mended = applied("svt", outgoing({"a": values}), **{**way, "literal": False})["a"]
    assert np.count_nonzero(mended) == 100 and np.abs(mended).max() <= 0.5


def test_equal_chances_give_equal_updates_and_others_do_not() -> None:
    update = outgoing({"a": changes()})
    one, again, other = (applied("svt", update, seed)["a"] for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_scalars_and_what_is_no_float() -> None:
    update = outgoing({"s": 9.0, "n": np.array([7])}, n="I64")
    assert abs(applied("svt", update, gamma=0.5)["s"]) <= 0.5
    kept = applied("svt", update, keep_scalars=True)
    assert kept["s"] == 9.0 and kept["n"].tolist() == [7]


def test_a_threshold_that_nothing_reaches_keeps_the_update_at_home() -> None:
    with pytest.raises(BadInput, match=r"svt: 1000 tries let only 0 of 1 changes pass"):
        applied("svt", outgoing({"a": [1.0]}), tau=1e6)


@pytest.mark.parametrize("name", ["fraction", "epsilon", "noise_var", "gamma", "tau"])
@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf")])
def test_wrong_options(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"filter svt: {name} must be"):
        built("svt", **{name: value})
