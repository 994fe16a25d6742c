"""Coordinate-wise median: at every place of the model the middle of the sites' values, whatever their weights.

Fewer than half of the sites can move it no further than the others' values reach. Yin et al. 2018,
"Byzantine-robust distributed learning: towards optimal statistical rates" (arXiv:1803.01498).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rondo.aggregate._sorting import ranked
from rondo.aggregate.seam import Column
from rondo.base import options as base
from rondo.tensors.dtypes import Floats


class Options(base.Options, frozen=True):
    """Nothing to choose."""


class Median:
    """The middle value; with an even number of sites the mean of the two in the middle."""

    def reduce(self, rows: Sequence[Floats], weights: Sequence[float]) -> Floats:
        """See ``Column.reduce``."""
        middle = ranked(rows, (len(rows) - 1) // 2, len(rows) // 2 + 1)
        if len(middle) == 1:
            return middle[0]
        both = np.add(middle[0], middle[1], dtype=np.float64)
        return np.multiply(both, 0.5, out=both)


def build(options: Options) -> Column:
    """The rule."""
    return Median()
