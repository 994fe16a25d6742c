"""Federated averaging: the mean of the sites' weights, each in proportion to its weight.

McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data" (arXiv:1602.05629).
"""

from __future__ import annotations

import numpy as np

from rondo.aggregate.seam import Fold
from rondo.base import options as base
from rondo.tensors.dtypes import Block


class Options(base.Options, frozen=True):
    """Nothing to choose."""


class Mean:
    """sum(w x) / sum(w). With numbers of samples as weights the sum is exact for F32 and shorter floats."""

    def add(self, total: Block, update: Block, weight: float, first: bool) -> None:
        """See ``Fold.add``."""
        if first:
            np.multiply(update, weight, out=total)
            return
        np.multiply(update, weight, out=update)
        np.add(total, update, out=total)

    def finish(self, total: Block, whole: float) -> None:
        """See ``Fold.finish``."""
        np.divide(total, whole, out=total)


def build(options: Options) -> Fold:
    """The rule."""
    return Mean()
