"""A look at a zip's table of contents before anything believes it (PKWARE APPNOTE 6.3.10, sections 4.3.12 to 4.3.16).

``zipfile`` reads the whole table into objects at once, so a table of ten million entries, or one that says
something else than it holds, must be refused first. The look reads the table once and keeps nothing.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from rondo.base.errors import BadInput

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HINT = "pack the folder again"


def check_directory(file: BinaryIO, size: int, *, most_entries: int, most_bytes: int) -> None:
    """Raises ``BadInput`` unless the table of contents is whole, of one disk, flush with the end, and small enough.

    Accepts what ``zipfile`` reads the same way, and no more: no comment, nothing before the first entry or after
    the end.
    """
    entries, length, start = _end(file, size)
    if entries > most_entries:
        raise BadInput(f"{entries} entries, more than {most_entries}", hint="a job carries code and settings")
    if length > most_bytes:
        raise BadInput(f"a table of contents of {length} bytes, more than {most_bytes}")
    file.seek(start)
    seen, left = 0, length
    while left > 0:
        head = file.read(_ENTRY.size)
        if len(head) < _ENTRY.size or head[:4] != b"PK\x01\x02":
            raise BadInput("the table of contents is broken", hint=_HINT)
        variable = sum(_ENTRY.unpack(head)[10:13])  # name, extra field, comment
        file.seek(variable, 1)
        left -= _ENTRY.size + variable
        seen += 1
        if seen > entries:
            break
    if left or seen != entries:
        raise BadInput(f"the table of contents does not hold the {entries} entries it says", hint=_HINT)


def _end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """(number of entries, bytes of the table, where it starts)."""
    if size < _END.size:
        raise BadInput("not a zip archive")
    at = size - _END.size
    file.seek(at)
    sign, disk, disk_start, here, entries, length, start, comment = _END.unpack(file.read(_END.size))
    if sign != b"PK\x05\x06" or comment:
        raise BadInput("not a zip archive, cut short, or with a comment at its end", hint=_HINT)
    wide = _end64(file, at)
    if wide is not None:
        at, numbers = wide
        limits = (0xFFFF, 2**32 - 1, 2**32 - 1)
        for short, long, limit in zip((entries, length, start), numbers, limits, strict=True):
            if short not in (long, limit):
                raise BadInput("the archive contradicts itself about its table of contents", hint=_HINT)
        entries, length, start = numbers
    elif here != entries:
        raise BadInput("the archive is one of several parts", hint=_HINT)
    if disk or disk_start or start + length != at:
        raise BadInput("the table of contents is not where the archive says", hint=_HINT)
    return entries, length, start


def _end64(file: BinaryIO, at: int) -> tuple[int, tuple[int, int, int]] | None:
    """The 64-bit record before the end, as (where it is, (entries, bytes, start)); ``None`` where there is none."""
    if at < _LOCATOR.size:
        return None
    file.seek(at - _LOCATOR.size)
    sign, disk, where, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if sign != b"PK\x06\x07":
        return None
    record = at - _LOCATOR.size - _END64.size
    if disk or disks > 1 or where != record:
        raise BadInput("the archive's 64-bit record is not where it says", hint=_HINT)
    file.seek(record)
    sign, length, _, _, disk, disk_start, here, entries, bytes_, start = _END64.unpack(file.read(_END64.size))
    if sign != b"PK\x06\x06" or length != _END64.size - 12 or disk or disk_start or here != entries:
        raise BadInput("the archive's 64-bit record is broken", hint=_HINT)
    return record, (entries, bytes_, start)
