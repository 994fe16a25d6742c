"""Top-k with error feedback: only the largest elements of an update travel, the others wait for a later one.

Of every 65,536 elements of a tensor the largest by magnitude are sent, as index and value; among equals the first.
What stays is added to the site's next update, so that nothing is lost, only late. Aji and Heafield 2017, "Sparse
communication for distributed gradient descent" (arXiv:1704.05021); Stich et al. 2018 (arXiv:1809.07599).
"""

from __future__ import annotations

import math

import numpy as np

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.codecs.seam import Codec
from rondo.tensors.dtypes import Array, Kind, from_float64, item_size, kind_of, numpy_dtype

WAYS = ("up",)
_INDEX = 2
"""Bytes of an index within its segment."""


class Options(base.Options, frozen=True):
    """``fraction``: how much of every tensor is sent, above 0 to 0.5; rounded up, so of a small one at least one."""

    fraction: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 0.5:
            raise ValueError(f"fraction must be above 0 and at most 0.5, not {self.fraction}")


class TopK:
    """For a segment: the indices of what is sent, rising, then the values in the tensor's dtype."""

    segment = 1 << 8 * _INDEX
    lossless = False
    feedback = True

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction

    def takes(self, dtype: str) -> bool:
        """See ``Codec.takes``."""
        return kind_of(dtype) is Kind.FLOAT

    def most(self, dtype: str, count: int) -> int:
        """See ``Codec.most``."""
        return self._kept(count) * (_INDEX + item_size(dtype))

    def encode(self, flat: Array, dtype: str) -> bytes:
        """See ``Codec.encode``."""
        kept = self._kept(len(flat))
        sizes = np.abs(flat)
        # The least of what is kept is one number whatever the order of sorting; so is who has it.
        least = np.partition(sizes, len(flat) - kept)[len(flat) - kept]
        above = np.flatnonzero(sizes > least)
        chosen = np.sort(np.concatenate([above, np.flatnonzero(sizes == least)[: kept - len(above)]]))
        return chosen.astype("<u2").tobytes() + from_float64(flat[chosen], dtype).tobytes()

    def decode(self, data: bytes, dtype: str, count: int) -> Array:
        """See ``Codec.decode``."""
        kept = self._kept(count)
        if len(data) != self.most(dtype, count):
            raise BadInput(f"{len(data)} bytes for {kept} of {count} elements")
        chosen = np.frombuffer(data, "<u2", kept)
        if (chosen[1:] <= chosen[:-1]).any() or chosen[-1] >= count:
            raise BadInput(f"indices that do not rise, or reach beyond {count} elements")
        values = np.zeros(count, numpy_dtype(dtype))
        values[chosen] = np.frombuffer(data, numpy_dtype(dtype), kept, _INDEX * kept)
        return values

    def _kept(self, count: int) -> int:
        # 0.07 of 100 elements are 7, although 0.07 * 100 is a little more.
        return max(1, math.ceil(self._fraction * count - 1e-6))


def build(options: Options) -> Codec:
    """The codec."""
    return TopK(options.fraction)
