"""Byte planes: the k-th bytes of all elements side by side, then Zstandard (RFC 8878). Lossless, for every dtype.

In a trained model signs and exponents repeat and the rest is noise: side by side the first bytes of its numbers
compress well, where mixed with the others they do not. The idea is that of the shuffle filter in HDF5.
"""

from __future__ import annotations

import numpy as np
import zstandard

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.codecs.seam import Codec
from rondo.tensors.dtypes import Array, item_size, numpy_dtype

WAYS = ("up", "down")
_WINDOW = 8 << 20
"""Bytes that a decompressor may hold for one frame: RFC 8878, 3.1.1.1.2, recommends that every one can."""


class Options(base.Options, frozen=True):
    """``level``: of Zstandard, 1 to 19. Higher ones take far longer and save hardly more: what is left is noise."""

    level: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 19:
            raise ValueError(f"level must be from 1 to 19, not {self.level}")


class Planes:
    """One frame of Zstandard for a segment."""

    segment = 1 << 17
    lossless = True
    feedback = False

    def __init__(self, level: int) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)

    def takes(self, dtype: str) -> bool:
        """See ``Codec.takes``."""
        return True

    def most(self, dtype: str, count: int) -> int:
        """See ``Codec.most``; Zstandard stores what it cannot compress, with a few bytes for every 128 KiB."""
        size = count * item_size(dtype)
        return size + size // 128 + 1024

    def encode(self, flat: Array, dtype: str) -> bytes:
        """See ``Codec.encode``."""
        planes = np.ascontiguousarray(flat.view(np.uint8).reshape(len(flat), -1).T)
        return self._compressor.compress(planes.data)

    def decode(self, data: bytes, dtype: str, count: int) -> Array:
        """See ``Codec.decode``."""
        size = count * item_size(dtype)
        try:
            # What the frame says of itself is read first: it decides how much memory the decompressor takes.
            said = zstandard.get_frame_parameters(data).content_size
            if said != size:
                raise BadInput(f"a frame of {said} bytes where {size} are due")
            plain = self._decompressor.decompress(data, max_output_size=size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise BadInput(f"no sound frame of Zstandard: {error}") from None
        if len(plain) != size:
            raise BadInput(f"a frame that gives {len(plain)} bytes where {size} are due")
        planes = np.frombuffer(plain, np.uint8).reshape(-1, count)
        return np.ascontiguousarray(planes.T).reshape(-1).view(numpy_dtype(dtype))


def build(options: Options) -> Codec:
    """The codec."""
    return Planes(options.level)
