from __future__ import annotations

import numpy as np
import pytest

from rondo.base.errors import BadInput
from tests.filters.outgoing import applied, built, outgoing


def test_small_changes_become_zero_and_large_ones_are_cut() -> None:
    # All sizes: 1 2 3 4 5, the 50th percentile is 3. What equals it is sent.
    update = outgoing({"a": [[1.0, -5.0]], "b": [3.0, -2.0, 4.0]})
    sent = applied("percentile", update, percentile=50, gamma=4.5)
    assert sent["a"].tolist() == [[0.0, -4.5]] and sent["b"].tolist() == [3.0, 0.0, 4.0]


def test_both_limits_are_per_local_step() -> None:
    update = outgoing({"a": [10.0, -50.0, 30.0]}, steps=10)
    assert applied("percentile", update, percentile=50, gamma=4)["a"].tolist() == [0.0, -40.0, 30.0]


def test_scalars_are_filtered_unless_kept() -> None:
    update = outgoing({"a": [1.0, 2.0], "s": 9.0, "t": 0.5})
    sent = applied("percentile", update, percentile=50, gamma=1.8)
    assert (sent["s"], sent["t"], sent["a"].tolist()) == (1.8, 0.0, [0.0, 1.8])
    kept = applied("percentile", update, percentile=50, gamma=1.8, keep_scalars=True)
    assert (kept["s"], kept["t"], kept["a"].tolist()) == (9.0, 0.5, [0.0, 1.8])


def test_what_is_no_float_passes() -> None:
    update = outgoing({"a": [1.0], "n": np.array([7])}, n="I64")
    assert applied("percentile", update)["n"].tolist() == [7]
    nothing = outgoing({"n": np.array([7]), "e": []}, n="I64")
    assert applied("percentile", nothing)["n"].tolist() == [7]


NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "value"),
    [("gamma", bad) for bad in (0.0, -1.0, NAN, float("inf"))] + [("percentile", bad) for bad in (-1.0, 100.1, NAN)],
)
def test_options_that_would_send_everything_are_refused(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"filter percentile: {name} must be"):
        built("percentile", **{name: value})
