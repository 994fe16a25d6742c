"""What a safetensors dtype is in numpy, and how it becomes float64 and comes back.

BF16 (bfloat16: the upper half of a float32) has no numpy type; it is carried as its bits in ``uint16``. Complex
and 8-bit floats are refused: nothing here could average them honestly.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rondo.base.errors import BadInput

Array = NDArray[np.generic]
Block = NDArray[np.float64]
Floats = NDArray[np.float64] | NDArray[np.float32]


class Kind(StrEnum):
    """What arithmetic makes sense for a dtype."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOL = "bool"


_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_TYPES = {name: np.dtype(code) for name, code in _NUMPY.items()}
_NAMES = {kind: name for name, kind in _TYPES.items() if name != "BF16"}


def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """The (little-endian) numpy type that carries ``dtype``; ``uint16`` for BF16.

    Raises ``BadInput`` for a dtype that is not supported.
    """
    found = _TYPES.get(dtype)
    if found is None:
        raise BadInput(f"dtype {dtype[:20]!r} is not supported", hint=f"use one of {', '.join(sorted(_TYPES))}")
    return found


def dtype_of(array_type: np.dtype[np.generic]) -> str:
    """The safetensors name of a numpy type of any byte order (``uint16`` is U16: BF16 has to be declared).

    Raises ``BadInput`` for a type that a tensor file cannot hold.
    """
    found = _NAMES.get(array_type.newbyteorder("<"))
    if found is None:
        raise BadInput(f"numpy type {array_type} cannot be stored", hint=f"use one of {', '.join(map(str, _NAMES))}")
    return found


def kind_of(dtype: str) -> Kind:
    """FLOAT, INTEGER or BOOL. Raises ``BadInput`` for a dtype that is not supported."""
    if dtype == "BF16":
        return Kind.FLOAT
    match numpy_dtype(dtype).kind:
        case "f":
            return Kind.FLOAT
        case "b":
            return Kind.BOOL
        case _:
            return Kind.INTEGER


def item_size(dtype: str) -> int:
    """Bytes per element. Raises ``BadInput`` for a dtype that is not supported."""
    return numpy_dtype(dtype).itemsize


def to_float64(flat: Array, dtype: str, out: Block | None = None) -> Block:
    """The values of ``flat`` (any shape, as ``numpy_dtype(dtype)``) in float64, exact for every float dtype.

    Written into ``out`` (same shape) where given.
    """
    block = np.empty(flat.shape) if out is None else out
    widen(flat, dtype, block)
    return block


def widen(flat: Array, dtype: str, out: Floats) -> None:
    """The values of ``flat`` into ``out`` (same shape); exact into float64, and into float32 for all but F64."""
    values = np.left_shift(flat, 16, dtype=np.uint32).view(np.float32) if dtype == "BF16" else flat
    np.copyto(out, values, casting="unsafe")


def from_float64(values: Block, dtype: str, out: Array | None = None) -> Array:
    """``values`` rounded once to a float ``dtype``, to nearest, ties to even; too large becomes infinite.

    Written into ``out`` (same shape, type ``numpy_dtype(dtype)``) where given. Without it F64 comes back as the
    same array, not a copy.
    """
    if dtype == "F64" and out is None:
        return values
    target = np.empty(values.shape, numpy_dtype(dtype)) if out is None else out
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        np.copyto(target, _bfloat16_bits(values) if dtype == "BF16" else values, casting="unsafe")
    return target


def _bfloat16_bits(values: Block) -> NDArray[np.uint16]:
    """Round float64 to bfloat16 bits.

    Going through float32 would round twice. So the float32 in between is rounded to odd (Boldo and Melquiond
    2008, "Emulation of a FMA and correctly rounded sums"): cut towards zero, last bit set when anything was cut.
    """
    single = np.asarray(values, np.float32)
    bits = np.atleast_1d(single).view(np.uint32).reshape(values.shape)
    widened = single.astype(np.float64)
    bits = bits - (np.abs(widened) > np.abs(values))
    bits |= widened != values
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    quiet = np.where(np.isnan(values), np.uint32(0x7FC0), rounded)
    return quiet.astype(np.uint16)
