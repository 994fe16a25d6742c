"""Trimmed mean: at every place of the model the mean without the largest and smallest values, weights aside.

Yin et al. 2018, "Byzantine-robust distributed learning: towards optimal statistical rates" (arXiv:1803.01498).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rondo.aggregate._sorting import between
from rondo.aggregate.seam import Column
from rondo.base import options as base
from rondo.tensors.dtypes import Floats


class Options(base.Options, frozen=True):
    """``trim``: the fraction of the sites that is left out at each end, 0 to below 0.5, rounded down to whole sites.

    With fewer than 1/trim sites that is none, and the rule is a plain mean that every site can move at will.
    """

    trim: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim must be at least 0 and below 0.5, not {self.trim}")


@dataclass(frozen=True)
class TrimmedMean:
    """The mean of what is left when ``trim`` of the sites is cut off at each end."""

    trim: float

    def reduce(self, rows: Sequence[Floats], weights: Sequence[float]) -> Floats:
        """See ``Column.reduce``."""
        # 0.29 of 100 sites are 29, although 0.29 * 100 is a little less.
        cut = min(int(self.trim * len(rows) + 1e-9), (len(rows) - 1) // 2)
        kept = between(rows, cut)
        total = kept[0].astype(np.float64)
        for row in kept[1:]:
            np.add(total, row, out=total)
        np.divide(total, len(kept), out=total)
        if kept[0].dtype == np.float32:  # the mean of shorter floats is rounded once more
            return total
        # Rounding must not carry it past the values that it is the mean of.
        return np.clip(total, np.minimum.reduce(kept), np.maximum.reduce(kept), out=total)


def build(options: Options) -> Column:
    """The rule."""
    return TrimmedMean(options.trim)
