"""Eight-bit blocks with error feedback: a quarter of the bytes of float32, for updates.

Each block of a tensor has one float32 scale, a 127th of its largest magnitude; its elements become whole multiples of
it, to nearest, ties to even: off by at most half a scale. What is lost is added to the site's next update. Blocks keep
one large number from spoiling all others: Dettmers et al. 2022, "8-bit optimizers via block-wise quantization"
(arXiv:2110.02861).
"""

from __future__ import annotations

import numpy as np

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.codecs.seam import Codec
from rondo.tensors.dtypes import Array, Kind, from_float64, kind_of

WAYS = ("up",)
_SEGMENT = 1 << 18
_TOP = 127


class Options(base.Options, frozen=True):
    """``block``: elements that share a scale, 8 to 65536."""

    block: int = 256

    def __post_init__(self) -> None:
        if not 8 <= self.block <= 65536:
            raise ValueError(f"block must be from 8 to 65536, not {self.block}")


class Int8:
    """For a segment: the scales of its blocks, then a signed byte for every element."""

    segment = _SEGMENT
    lossless = False
    feedback = True

    def __init__(self, block: int) -> None:
        self._block = block

    def takes(self, dtype: str) -> bool:
        """See ``Codec.takes``."""
        return kind_of(dtype) is Kind.FLOAT

    def most(self, dtype: str, count: int) -> int:
        """See ``Codec.most``."""
        return 4 * -(-count // self._block) + count

    def encode(self, flat: Array, dtype: str) -> bytes:
        """See ``Codec.encode``."""
        rows = self._rows(flat, np.float64)
        with np.errstate(over="ignore", under="ignore"):
            scales = (np.abs(rows).max(axis=1) / _TOP).astype("<f4")
        if not np.isfinite(scales).all():
            raise BadInput("holds a number that is too large for float32 scales", hint="choose another codec, or none")
        # A scale of 0 stands for numbers too small for float32: all of them wait for the next update.
        np.divide(rows, np.where(scales > 0, scales, np.inf).astype(np.float64)[:, None], out=rows)
        np.clip(np.rint(rows, out=rows), -_TOP, _TOP, out=rows)
        steps = rows.astype(np.int8).reshape(-1)[: len(flat)]
        return bytes(scales.tobytes() + steps.tobytes())

    def decode(self, data: bytes, dtype: str, count: int) -> Array:
        """See ``Codec.decode``."""
        if len(data) != self.most(dtype, count):
            raise BadInput(f"{len(data)} bytes for {count} elements in blocks of {self._block}")
        blocks = -(-count // self._block)
        scales, steps = np.frombuffer(data, "<f4", blocks), np.frombuffer(data, np.int8, count, 4 * blocks)
        if not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise BadInput("a scale that is negative, infinite or NaN")
        if (steps == -_TOP - 1).any():
            raise BadInput(f"an element of {-_TOP - 1} steps where {_TOP} are the most")
        kind = np.dtype(np.float32 if dtype == "F32" else np.float64)
        rows = self._rows(steps, kind)
        with np.errstate(over="ignore", under="ignore"):
            values = np.multiply(rows, scales.astype(kind)[:, None], out=rows).reshape(-1)[:count]
        return values if dtype == "F32" else from_float64(values, dtype)

    def _rows(self, flat: Array, kind: np.dtype[np.generic] | type[np.float64]) -> Array:
        """A copy, one block a row, the last one filled up with zeros."""
        rows = np.zeros((-(-len(flat) // self._block), self._block), kind)
        rows.reshape(-1)[: len(flat)] = flat
        return rows


def build(options: Options) -> Codec:
    """The codec."""
    return Int8(options.block)
