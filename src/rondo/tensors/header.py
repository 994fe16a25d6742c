"""The safetensors header, read with distrust.

A header comes from somewhere else, so whatever it says is checked before anyone acts on it. Every error is
``BadInput`` and names the tensor.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import item_size

PREFIX = 8
"""Bytes before the header: its length, little-endian."""
MAX_HEADER = 64 << 20
MAX_TENSORS = 200_000
METADATA = "__metadata__"
"""The one key of a header that is no tensor: free text, read over here."""
_MAX_NAME = 4096
_MAX_DIMS = 32
_MAX_BYTES = 2**63
_KEYS = {"dtype", "shape", "data_offsets"}
_FOREIGN = "is this a safetensors file?"


@dataclass(frozen=True)
class Entry:
    """What a header says of one tensor; ``start`` and ``stop`` count from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def header_length(prefix: bytes, where: str, limit: int = MAX_HEADER) -> int:
    """What the first eight bytes of a file say. Raises ``BadInput`` where that cannot be, or is over ``limit``."""
    length = int.from_bytes(prefix, "little")
    if not 2 <= length <= limit:
        possible = f"2 to {limit} are" if limit >= 2 else "none is"
        raise BadInput(f"header of {length} bytes where {possible} possible", where=where, hint=_FOREIGN)
    return length


def entries_of(text: bytes, where: str) -> list[Entry]:
    """The tensors that the header ``text`` (JSON) describes, by place in the file, without gap or overlap.

    Raises ``BadInput`` for anything else.
    """
    found = _decoded(text, where)
    metadata = found.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadInput(f"header lies: {METADATA} must map names to text", where=where)
    if len(found) > MAX_TENSORS:
        raise BadInput(f"{len(found)} tensors where at most {MAX_TENSORS} are accepted", where=where)
    # The sort is stable: empty tensors stay where their writer put them.
    entries = sorted((_entry(name, value, where) for name, value in found.items()), key=lambda e: (e.start, e.stop))
    at = 0
    for entry in entries:
        if entry.start != at:
            fault = "overlaps the one before it" if entry.start < at else f"leaves {entry.start - at} bytes unused"
            raise _lie(entry.name, fault, where)
        at = entry.stop
    return entries


def stored_bytes(name: str, dtype: str, shape: tuple[int, ...], where: str = "") -> int:
    """Bytes that such a tensor takes. Raises ``BadInput`` for what no file or no numpy array can hold."""
    try:
        long = len(name.encode()) > _MAX_NAME
    except UnicodeEncodeError:
        raise _lie(name, "has a name that is not valid text", where) from None
    if long:
        raise _lie(name, f"has a name of more than {_MAX_NAME} bytes", where)
    try:
        item = item_size(dtype)
    except BadInput as error:
        raise BadInput(f"tensor {shown(name)}: {error.what}", where=where, hint=error.hint) from None
    if len(shape) > _MAX_DIMS or any(side < 0 for side in shape):
        raise _lie(name, f"has a shape that is negative or has over {_MAX_DIMS} dimensions", where)
    # numpy refuses an empty array, too, when the other dimensions alone overflow.
    if math.prod(side for side in shape if side) * item >= _MAX_BYTES:
        raise _lie(name, "has a shape beyond any memory", where)
    return math.prod(shape) * item


def shown(name: str) -> str:
    """A name that somebody else chose, fit for one line of a message."""
    return ascii(name if len(name) <= 100 else f"{name[:97]}...")


def _decoded(text: bytes, where: str) -> dict[str, object]:
    if not text.startswith(b"{"):
        raise BadInput("header is not a JSON object", where=where, hint=_FOREIGN)
    try:
        found = json.loads(text.decode(), object_pairs_hook=lambda pairs: _table(pairs, where))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"header is not JSON: {str(error)[:200]}", where=where, hint=_FOREIGN) from None
    assert isinstance(found, dict)  # it began with a brace
    return found


def _table(pairs: list[tuple[str, object]], where: str) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadInput(f"header lies: {shown(twice)} occurs twice", where=where)
    return table


def _entry(name: str, value: object, where: str) -> Entry:
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise _lie(name, f"must have exactly {', '.join(sorted(_KEYS))}", where)
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise _lie(name, "has a dtype that is not text", where)
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise _lie(name, "has a shape or offsets that are not lists of whole numbers", where)
    start, stop = offsets
    needed = stored_bytes(name, dtype, tuple(shape), where)
    if start < 0 or stop - start != needed:
        raise _lie(name, f"has {stop - start} bytes at {start} where dtype and shape need {needed}", where)
    return Entry(name, dtype, tuple(shape), start, stop)


def _whole_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)


def _lie(name: str, fault: str, where: str) -> BadInput:
    return BadInput(f"header lies: tensor {shown(name)} {fault}", where=where)
