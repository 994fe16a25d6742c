"""Which tensors a file holds and where; and what is said when two files do not hold the same."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from rondo.base.errors import BadInput
from rondo.tensors.header import (
    MAX_HEADER,
    MAX_TENSORS,
    METADATA,
    PREFIX,
    entries_of,
    header_length,
    shown,
    stored_bytes,
)

Spec = tuple[str, str, tuple[int, ...]]
"""Name, dtype and shape of one tensor."""

_SHOWN = 8


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: its bytes are ``start`` (included) to ``stop`` (excluded), counted from the file's start.

    A shape of ``()`` is a scalar (one element); a shape with a 0 in it is empty.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def count(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.stop - self.start

    @property
    def spec(self) -> Spec:
        return self.name, self.dtype, self.shape


@dataclass(frozen=True)
class Layout:
    """All tensors of a file, in file order, without gap or overlap; ``size`` is that of the whole file in bytes."""

    tensors: tuple[Tensor, ...]
    size: int

    @cached_property
    def by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    def names(self) -> tuple[str, ...]:
        """In file order."""
        return tuple(self.by_name)

    def get(self, name: str) -> Tensor | None:
        return self.by_name.get(name)

    def specs(self) -> tuple[Spec, ...]:
        """What the file holds, in file order: all a writer of the same layout needs."""
        return tuple(tensor.spec for tensor in self.tensors)

    def schema(self) -> tuple[Spec, ...]:
        """What the file holds, whatever its order: sorted by name, equal for files that may be folded together."""
        return tuple(sorted(self.specs()))

    @cached_property
    def header_size(self) -> int:
        """Bytes of the header that we write for these tensors, with the length before it."""
        return len(header_of(self.schema()))

    def at(self, offset: int) -> Tensor:
        """The tensor that holds the byte at ``offset`` of the file. Raises ``ValueError`` where none does."""
        place = bisect_right(self.tensors, offset, key=lambda tensor: tensor.start) - 1
        if place < 0 or offset >= self.tensors[place].stop:
            raise ValueError(f"no tensor at byte {offset}")
        return self.tensors[place]


def header_of(schema: Iterable[Spec]) -> bytes:
    """The start of a file with these tensors in this order: length, JSON, blanks up to a multiple of 8 bytes.

    Equal schemas give equal bytes. Raises ``BadInput`` for a name that is doubled, reserved or too long, and for
    a dtype or shape that cannot be stored.
    """
    entries: dict[str, dict[str, object]] = {}
    at = 0
    for name, dtype, shape in schema:
        if name in entries or name == METADATA:
            raise BadInput(f"tensor name {shown(name)} is {'used twice' if name in entries else 'reserved'}")
        stop = at + stored_bytes(name, dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, stop]}
        at = stop
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % PREFIX)
    if len(text) > MAX_HEADER or len(entries) > MAX_TENSORS:
        raise BadInput(f"{len(entries)} tensors with a header of {len(text)} bytes are too much for one file")
    return len(text).to_bytes(PREFIX, "little") + text


def parse_header(text: bytes, where: str, size: int | None = None) -> Layout:
    """The layout that a header describes (``text``: its JSON, without the eight bytes before it).

    ``size`` is the size of the whole file in bytes where it is known; otherwise it follows from the header.
    Raises ``BadInput`` for anything but an exact description without gaps.
    """
    data = PREFIX + len(text)
    tensors = tuple(
        Tensor(entry.name, entry.dtype, entry.shape, data + entry.start, data + entry.stop)
        for entry in entries_of(text, where)
    )
    end = tensors[-1].stop if tensors else data
    if size is not None and end != size:
        raise BadInput(f"header describes {end} bytes, the file has {size}", where=where, hint="cut or padded file?")
    return Layout(tensors, end)


def read_layout(path: Path) -> Layout:
    """The layout of the file at ``path``; only its header is read.

    Raises ``BadInput`` for a file that cannot be read or whose header lies.
    """
    try:
        with path.open("rb") as file:
            return layout_in(file, str(path))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error


def layout_in(file: BinaryIO, where: str) -> Layout:
    """``read_layout`` of a file that is open already; the ``OSError`` of reading passes."""
    size = file.seek(0, 2)
    file.seek(0)
    length = header_length(file.read(PREFIX), where, min(MAX_HEADER, size - PREFIX))
    return parse_header(file.read(length), where, size)


def require_same(expected: Layout, got: Layout, omitted: frozenset[str] = frozenset(), where: str = "") -> None:
    """Demand the tensors of ``expected``, less those ``omitted``, in any order.

    Raises one ``BadInput`` that names every difference (the first few, where there are many): missing, extra,
    renamed (old name and new), reshaped, retyped, sent though declared omitted, omitted but unknown.
    """
    faults = [f"{shown(name)} is omitted but the model has no such tensor" for name in omitted - set(expected.names())]
    faults += [f"{shown(name)} is declared omitted but was sent" for name in omitted & set(got.names())]
    faults += _strangers(expected, got, omitted)
    for tensor in expected.tensors:
        other = got.get(tensor.name)
        if other is not None and other.shape != tensor.shape:
            faults.append(f"{shown(tensor.name)} has shape {list(other.shape)} instead of {list(tensor.shape)}")
        if other is not None and other.dtype != tensor.dtype:
            faults.append(f"{shown(tensor.name)} has dtype {other.dtype} instead of {tensor.dtype}")
    if faults:
        faults.sort()
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadInput(
            f"tensors differ from the model: {'; '.join(faults[:_SHOWN])}{more}",
            where=where,
            hint="send the tensors of the model received, with its names, shapes and dtypes",
        )


def _strangers(expected: Layout, got: Layout, omitted: frozenset[str]) -> list[str]:
    """Names that only one side has. One of the same shape and dtype on each side is most likely a renaming."""
    extra = defaultdict(list)
    for tensor in reversed(got.tensors):
        if tensor.name not in expected.by_name and tensor.name not in omitted:
            extra[tensor.dtype, tensor.shape].append(tensor.name)
    faults = []
    for tensor in expected.tensors:
        if tensor.name in omitted or tensor.name in got.by_name:
            continue
        twins = extra[tensor.dtype, tensor.shape]
        renamed = f" (renamed to {shown(twins.pop())}?)" if twins else ""
        faults.append(f"{shown(tensor.name)} is missing{renamed}")
    return faults + [f"{shown(name)} is not in the model" for names in extra.values() for name in names]
