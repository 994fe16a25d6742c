from __future__ import annotations

import numpy as np
import pytest

from rondo.filters._ranking import percentile_of


@pytest.mark.parametrize(("q", "expected"), [(0, 1.0), (25, 1.75), (50, 2.5), (75, 3.25), (100, 4.0)])
def test_by_hand(q: float, expected: float) -> None:
    blocks = [np.array([4.0, 1.0]), np.array([]), np.array([3.0, 2.0])]
    assert percentile_of(lambda: iter(blocks), q) == expected


@pytest.mark.parametrize("q", [0, 0.1, 10, 33.3, 50, 75, 99.99, 100])
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e300])
def test_large_sets_are_ranked_as_numpy_does(q: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    numbers = np.abs(rng.normal(size=600_001)) * scale
    numbers[::3] = 0.0
    blocks = np.array_split(numbers, 2)
    assert percentile_of(lambda: iter(blocks), q) == np.percentile(numbers, q)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no numbers"):
        percentile_of(lambda: iter([np.array([])]), 10)
