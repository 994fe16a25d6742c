"""Coordinate-wise median: at every place of the model the middle of the sites' values, whatever their weights.

Fewer than half of the sites can move it no further than the others' values reach. Yin et al. 2018,
"Byzantine-robust distributed learning: towards optimal statistical rates" (arXiv:1803.01498).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rondo.aggregate._sorting import sorted_rows
from rondo.aggregate.seam import Column
from rondo.base import options as base
from rondo.tensors.dtypes import Block


class Options(base.Options, frozen=True):
    """Nothing to choose."""


class Median:
    """The middle value; with an even number of sites the mean of the two in the middle."""

    def reduce(self, rows: Sequence[Block], weights: Sequence[float]) -> Block:
        """See ``Column.reduce``."""
        ordered = sorted_rows(rows)
        lower, upper = ordered[(len(rows) - 1) // 2], ordered[len(rows) // 2]
        if lower is upper:
            return lower
        np.add(lower, upper, out=lower)
        return np.multiply(lower, 0.5, out=lower)


def build(options: Options) -> Column:
    """The rule."""
    return Median()
