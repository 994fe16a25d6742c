"""NaN and infinity are refused wherever numbers enter or leave: one test, one error, for all who need them."""

from __future__ import annotations

import numpy as np

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Array, Kind, kind_of

# With all exponent bits set a float is infinite or NaN. numpy has no fast test for the 16-bit floats.
_EXPONENT = {"F16": 0x7C00, "BF16": 0x7F80}


def first_nonfinite(flat: Array, dtype: str) -> int | None:
    """Index of the first NaN or infinity in a 1-d ``flat`` (as ``numpy_dtype(dtype)``); None where there is none.

    Integers and bools are always finite.
    """
    if kind_of(dtype) is not Kind.FLOAT:
        return None
    mask = _EXPONENT.get(dtype)
    fine = np.isfinite(flat) if mask is None else (flat.view(np.uint16) & np.uint16(mask)) != mask
    return None if fine.all() else int(fine.argmin())


def not_finite(tensor: str, index: int, where: str) -> BadInput:
    """The error for tensor ``tensor`` at flat ``index``, in the file or update that ``where`` names."""
    return BadInput(
        f"tensor {tensor!r} holds NaN or infinity (first at flat index {index})",
        where=where,
        hint="look for a diverged loss or a division by zero in what computed it",
    )


def finite_or_raise(flat: Array, dtype: str, tensor: str, where: str, first: int = 0) -> None:
    """Raise ``BadInput`` where ``flat`` holds NaN or infinity; it begins at flat index ``first`` of ``tensor``."""
    bad = first_nonfinite(flat, dtype)
    if bad is not None:
        raise not_finite(tensor, first + bad, where)
