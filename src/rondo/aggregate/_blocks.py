"""Arrays that hold the same stretch of one file after the other, and are used again for every stretch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rondo.aggregate._plan import Run
from rondo.aggregate.seam import Contribution
from rondo.tensors.dtypes import Array, Block, Floats, dtype_of, numpy_dtype, to_float64, widen
from rondo.tensors.files import read_into
from rondo.tensors.finite import first_nonfinite, not_finite
from rondo.tensors.layout import Layout


class Blocks:
    """What one thread computes with. ``key`` names an array; the same key and dtype give the same memory."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype[np.generic]], Array] = {}

    def array(self, key: str, count: int, dtype: str) -> Array:
        kind = numpy_dtype(dtype)
        found = self._arrays.get((key, kind))
        if found is None or len(found) < count:
            found = self._arrays[key, kind] = np.empty(count, kind)
        return found[:count]

    def block(self, key: str, count: int) -> Block:
        return cast(Block, self.array(key, count, "F64"))

    def rows(self, part: Run, number: int) -> list[Block]:
        """``number`` blocks, one behind the other."""
        return list(self.block("rows", part.count * number).reshape(number, part.count))

    def short_rows(self, part: Run, number: int) -> list[NDArray[np.float32]]:
        """The same in float32."""
        flat = cast(NDArray[np.float32], self.array("rows", part.count * number, "F32"))
        return list(flat.reshape(number, part.count))

    def read(self, key: str, path: Path, offset: int, part: Run) -> Array:
        """The elements of a file from byte ``offset`` on that lie where ``part`` does."""
        flat = self.array(key, part.count, part.dtype)
        read_into(path, offset, flat)
        return flat

    def base(self, base: Path, part: Run) -> Block:
        """The base model there."""
        return to_float64(self.read("base", base, part.start, part), part.dtype, self.block("base", part.count))

    def values(self, part: Run, sent: Contribution, offset: int, out: Floats) -> None:
        """What a site sent, into ``out``."""
        if out.dtype == numpy_dtype(part.dtype):
            read_into(sent.path, offset, out)
        else:
            widen(self.read("sent", sent.path, offset, part), part.dtype, out)


def demand_finite(model: Layout, part: Run, row: Floats, where: str) -> None:
    """Raise ``BadInput`` that names the tensor where ``row``, the values of ``part``, is not finite."""
    bad = first_nonfinite(row, dtype_of(row.dtype))
    if bad is not None:
        tensor, index = part.place(model, bad)
        raise not_finite(tensor, index, where)
