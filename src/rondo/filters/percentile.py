"""Send only the largest changes, and cut those off: a heuristic against leaking data, without a guarantee.

Clara's PercentilePrivacy, after Shokri and Shmatikov 2015, "Privacy-preserving deep learning" (CCS '15). It is
not differential privacy: no noise is added. Options that would make it do nothing are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rondo.base import options as base
from rondo.filters._ranking import percentile_of
from rondo.filters.seam import Computed, Filter, Outgoing
from rondo.tensors.dtypes import Array, Block


class Options(base.Options, frozen=True):
    """``percentile``: how much of the changes is not sent, 0 to 100. ``gamma`` > 0: the largest change sent.

    Both apply to the change per local step. ``keep_scalars``: send tensors of shape () as they are, as Clara does.
    """

    percentile: float = 10.0
    gamma: float = 0.01
    keep_scalars: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise ValueError(f"percentile must be 0 to 100, not {self.percentile}")
        if not 0 < self.gamma < float("inf"):
            raise ValueError(f"gamma must be a positive number, not {self.gamma}")


@dataclass(frozen=True)
class Percentile:
    """Zeroes every change below the percentile of all changes' sizes, then clips to +-gamma."""

    options: Options

    def apply(self, outgoing: Outgoing, rng: np.random.Generator) -> Outgoing:
        """See ``Filter.apply``. Memory: a few times the largest tensor; the percentile is found in five passes."""
        sizes = partial(_sizes, outgoing)
        if not any(len(block) for block in sizes()):
            return outgoing
        cut = percentile_of(sizes, self.options.percentile)
        return replace(outgoing, tensors=Computed(outgoing.dtypes, partial(self._reduced, outgoing, cut)))

    def _reduced(self, outgoing: Outgoing, cut: float, name: str) -> Array:
        if name not in outgoing.floats():
            return outgoing.tensors[name]
        change = _per_step(outgoing, name)
        if self.options.keep_scalars and not change.shape:
            return outgoing.tensors[name]
        change[np.abs(change) < cut] = 0.0
        np.clip(change, -self.options.gamma, self.options.gamma, out=change)
        return np.multiply(change, outgoing.steps or 1.0, out=change)


def _per_step(outgoing: Outgoing, name: str) -> Block:
    change = outgoing.difference(name)
    return np.divide(change, outgoing.steps or 1.0, out=change)


def _sizes(outgoing: Outgoing) -> Iterator[Block]:
    for name in outgoing.floats():
        change = _per_step(outgoing, name).reshape(-1)
        yield np.abs(change, out=change)


def build(options: Options) -> Filter:
    """The filter."""
    return Percentile(options)
