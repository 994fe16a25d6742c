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
    """sum(w x) / sum(w), as a running mean (Welford 1962): equal updates give that very update, to the last bit."""

    def add(self, total: Block, update: Block, weight: float, seen: float) -> None:
        """See ``Fold.add``."""
        if not seen:
            np.copyto(total, update)
            return
        np.subtract(update, total, out=update)
        np.multiply(update, weight / (seen + weight), out=update)
        np.add(total, update, out=total)


def build(options: Options) -> Fold:
    """The rule."""
    return Mean()
