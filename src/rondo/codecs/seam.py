"""What a codec is. A module of this room with ``WAYS``, ``Options`` and ``build(options)`` is one.

A codec is pure arithmetic on segments: stretches of one tensor, at most ``segment`` elements long. It never sees files,
names or shapes; ``rondo.codecs.coding`` takes care of those. ``WAYS`` of its module says where it may be chosen: "up"
for updates, "down" for models; a codec that is for updates only wants differences, most of which are near zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rondo.base.options import decode
from rondo.base.rooms import pick
from rondo.tensors.dtypes import Array


class Codec(Protocol):
    """How a segment becomes fewer bytes and comes back. Equal input gives equal output, on every machine.

    ``segment``: elements that are coded at once, at most. ``lossless``: what comes back is what was there, bit by bit.
    ``feedback``: what an update lost on its way is added to the next one of the same site (error feedback: Seide et
    al. 2014, "1-bit stochastic gradient descent"; Karimireddy et al. 2019, arXiv:1901.09847).
    """

    segment: int
    lossless: bool
    feedback: bool

    def takes(self, dtype: str) -> bool:
        """Whether tensors of this dtype are coded; others travel as they are. Only floats where not lossless."""

    def most(self, dtype: str, count: int) -> int:
        """Bytes that ``count`` coded elements take at most."""

    def encode(self, flat: Array, dtype: str) -> bytes:
        """The bytes of one segment: 1-d, as ``numpy_dtype(dtype)``, but float64 with ``feedback``; all finite.

        Raises ``BadInput`` for values that this codec cannot carry.
        """

    def decode(self, data: bytes, dtype: str, count: int) -> Array:
        """The ``count`` elements of a segment, 1-d, as ``numpy_dtype(dtype)``.

        ``data``, at most ``most(dtype, count)`` bytes long, comes from a stranger: raises ``BadInput`` unless it is
        whole and exact, and takes memory in proportion to ``count`` only. Finiteness is looked at by who asks.
        """


def build_codec(name: str, options: Mapping[str, Any]) -> Codec:
    """The codec ``name`` with the options that people wrote.

    Raises ``NotFound`` for an unknown codec, ``BadInput`` that names the offending option.
    """
    module = pick("rondo.codecs", name)
    codec: Codec = module.build(decode(module.Options, options, f"codec {name}"))
    return codec
