"""bfloat16, the upper half of a float32: its range in half the bytes (of float64 a quarter), with 8 bits of precision.

Every float32 and float64 is rounded to nearest, ties to even: off by at most 2^-8 of its value. Other dtypes travel as
they are. Kalamkar et al. 2019, "A study of BFLOAT16 for deep learning training" (arXiv:1905.12322).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.codecs.seam import Codec
from rondo.tensors.dtypes import Array, from_float64
from rondo.tensors.finite import first_nonfinite

WAYS = ("up", "down")


class Options(base.Options, frozen=True):
    """Nothing to choose."""


class Bfloat16:
    """Two bytes an element."""

    segment = 1 << 18
    lossless = False
    feedback = False

    def takes(self, dtype: str) -> bool:
        """See ``Codec.takes``."""
        return dtype in ("F32", "F64")

    def most(self, dtype: str, count: int) -> int:
        """See ``Codec.most``."""
        return 2 * count

    def encode(self, flat: Array, dtype: str) -> bytes:
        """See ``Codec.encode``."""
        bits = _rounded(flat.view(np.uint32)) if dtype == "F32" else from_float64(flat.astype(np.float64), "BF16")
        if first_nonfinite(bits, "BF16") is not None:
            raise BadInput("holds a number that is too large for bfloat16", hint="choose another codec, or none")
        return bits.tobytes()

    def decode(self, data: bytes, dtype: str, count: int) -> Array:
        """See ``Codec.decode``."""
        if len(data) != 2 * count:
            raise BadInput(f"{len(data)} bytes for {count} numbers of bfloat16")
        single: Array = np.left_shift(np.frombuffer(data, "<u2"), 16, dtype=np.uint32).view(np.float32)
        return single if dtype == "F32" else single.astype(np.float64)


def _rounded(bits: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """The bits of float32 (finite) as those of bfloat16; what is too large becomes infinite."""
    up = np.right_shift(bits, np.uint32(16))
    np.bitwise_and(up, np.uint32(1), out=up)
    np.add(up, np.uint32(0x7FFF), out=up)
    np.add(up, bits, out=up)
    return np.right_shift(up, np.uint32(16), out=up).astype(np.uint16)


def build(options: Options) -> Codec:
    """The codec."""
    return Bfloat16()
