"""Sort the sites' values, separately at every place of the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from rondo.tensors.dtypes import Block


def sorted_rows(rows: Sequence[Block]) -> list[Block]:
    """Blocks that hold, at every index, the values of ``rows`` at that index in rising order.

    The rows are overwritten. A sorting network compares whole rows, which the processor does many elements at a
    time; numpy's sort across rows is 2 to 10 times slower. Values must not be NaN.
    """
    ordered = list(rows)
    spare = np.empty_like(ordered[0])
    for low, high in _network(len(ordered)):
        np.minimum(ordered[low], ordered[high], out=spare)
        np.maximum(ordered[low], ordered[high], out=ordered[high])
        ordered[low], spare = spare, ordered[low]
    return ordered


@lru_cache(maxsize=8)
def _network(count: int) -> tuple[tuple[int, int], ...]:
    """Which pairs to put in order, one after the other: Batcher's merge exchange (Knuth, TAOCP 5.2.2, algorithm M)."""
    pairs = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    step = top
    while step:
        jump, offset, distance = top, 0, step
        while True:
            pairs += [(i, i + distance) for i in range(count - distance) if i & step == offset]
            if jump == step:
                break
            distance, jump, offset = jump - step, jump // 2, step
        step //= 2
    return tuple(pairs)
