"""Percentiles of more numbers than fit into memory, without rounding and without sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rondo.tensors.dtypes import Block

_DIGIT = 16
_TOP = 64 - _DIGIT
_PIECE = 1 << 18

Blocks = Callable[[], Iterator[Block]]
"""Gives the same 1-d blocks of finite numbers >= 0 every time it is called."""


def percentile_of(blocks: Blocks, q: float) -> float:
    """The ``q``-th percentile (0 to 100) of all numbers together, to the last bit what ``numpy.percentile`` says.

    Held are one block and 65536 counters; the blocks are gone through five times. Raises ``ValueError`` where
    there are no numbers.
    """
    top = _counts(blocks, 0, _TOP)
    count = int(top.sum())
    if not count:
        raise ValueError("no numbers to rank")
    place = (count - 1) * (q / 100)
    rank = int(place)
    low, follows = _ranked(blocks, top, rank)
    # The next larger number, unless the one at ``rank`` occurs again after it.
    high = low if follows else min((_above(piece, low) for piece in _pieces(blocks)), default=low)
    high = high if np.isfinite(high) else low
    part = place - rank
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def _ranked(blocks: Blocks, counts: NDArray[np.int64], rank: int) -> tuple[float, bool]:
    """The number at ``rank`` (from 0) in rising order, and whether the next in order is the same.

    A radix selection: the bits of a float >= 0, read as an integer, rise as the float does. ``counts`` is of the
    highest digit; each of three more passes counts the next digit of what agrees with the digits known.
    """
    known = 0
    for shift in range(_TOP, -1, -_DIGIT):
        if shift != _TOP:
            counts = _counts(blocks, known, shift)
        reached = np.cumsum(counts)
        digit = int(np.searchsorted(reached, rank, side="right"))
        rank -= int(reached[digit] - counts[digit])
        known = known << _DIGIT | digit
    return float(np.uint64(known).view(np.float64)), rank + 1 < counts[digit]


def _counts(blocks: Blocks, known: int, shift: int) -> NDArray[np.int64]:
    """How often each 16-bit digit at ``shift`` occurs, in numbers whose bits above it are ``known``."""
    counts = np.zeros(1 << _DIGIT, np.int64)
    for piece in _pieces(blocks):
        digits = (piece.view(np.uint64) >> np.uint64(shift)).view(np.int64)
        digits = digits[digits >> _DIGIT == known] & ((1 << _DIGIT) - 1)
        counts += np.bincount(digits, minlength=1 << _DIGIT)
    return counts


def _above(piece: Block, low: float) -> float:
    return float(np.min(piece, initial=np.inf, where=piece > low))


def _pieces(blocks: Blocks) -> Iterator[Block]:
    """The blocks, cut so that what is computed from one stays in the processor's cache."""
    for block in blocks():
        for start in range(0, len(block), _PIECE):
            yield block[start : start + _PIECE]
