"""Sort the sites' values, separately at every place of the model, as far as it is needed.

A sorting network compares whole rows, which the processor does many elements at a time; numpy's sort across rows is 2
to 10 times slower. Comparisons whose outcome nobody asks for are left out. Rows must not hold NaN, and are overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from rondo.tensors.dtypes import Floats

Pair = tuple[int, int]
Step = tuple[int, int, bool, bool]
"""Two rows to put in order, and whether the smaller and the larger values are needed afterwards."""


def ranked(rows: Sequence[Floats], first: int, last: int) -> list[Floats]:
    """Blocks that hold, at every index, the ``first`` to ``last`` (excluded) of the values there in rising order."""
    return _in_order(rows, _ranking(len(rows), first, last))[first:last]


def between(rows: Sequence[Floats], cut: int) -> list[Floats]:
    """Blocks that hold, at every index, the values there without the ``cut`` smallest and largest, in any order."""
    return _in_order(rows, _cutting(len(rows), cut))[cut : len(rows) - cut]


def _in_order(rows: Sequence[Floats], steps: Iterable[Step]) -> list[Floats]:
    ordered = list(rows)
    spare = np.empty_like(ordered[0])
    for low, high, smaller, larger in steps:
        if smaller and larger:
            np.minimum(ordered[low], ordered[high], out=spare)
            np.maximum(ordered[low], ordered[high], out=ordered[high])
            ordered[low], spare = spare, ordered[low]
        elif smaller:
            np.minimum(ordered[low], ordered[high], out=ordered[low])
        else:
            np.maximum(ordered[low], ordered[high], out=ordered[high])
    return ordered


@lru_cache(maxsize=8)
def _ranking(count: int, first: int, last: int) -> tuple[Step, ...]:
    return _needed(_network(count), range(first, last))


@lru_cache(maxsize=8)
def _cutting(count: int, cut: int) -> tuple[Step, ...]:
    """The cheaper of a whole sort and of taking away the largest and the smallest, ``cut`` times."""
    if not cut:
        return ()
    peel: list[Pair] = []
    for taken in range(cut):
        peel += [(place, place + 1) for place in range(taken, count - 1 - taken)]
        peel += [(place - 1, place) for place in range(count - 2 - taken, taken, -1)]
    kept = range(cut, count - cut)
    return min(
        _needed(peel, kept), _needed(_network(count), kept), key=lambda steps: sum(a + b for _, _, a, b in steps)
    )


def _needed(pairs: Sequence[Pair], wanted: Iterable[int]) -> tuple[Step, ...]:
    """The steps of a network without those that do not reach the ``wanted`` places."""
    needed, steps = set(wanted), []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            steps.append((low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(steps))


@lru_cache(maxsize=8)
def _network(count: int) -> tuple[Pair, ...]:
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
