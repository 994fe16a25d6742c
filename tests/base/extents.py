"""Whether a file is on the disk or only in memory, as its file system says (FS_IOC_FIEMAP, Linux fiemap.rst)."""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path

_FIEMAP = 0xC020660B
_HEAD, _EXTENT = struct.Struct("<QQIIII"), struct.Struct("<QQQQQIIII")
_ASKED = 64
_NOT_WRITTEN = 0x4  # FIEMAP_EXTENT_DELALLOC: the bytes have no place yet


def is_on_disk(path: Path) -> bool:
    """False where the file system says that bytes of ``path`` have no place on the disk yet; some never say so."""
    asked = bytearray(_HEAD.pack(0, 2**64 - 1, 0, 0, _ASKED, 0) + bytes(_EXTENT.size * _ASKED))
    with path.open("rb") as file:
        try:
            fcntl.ioctl(file, _FIEMAP, asked)
        except OSError:
            return True
    mapped = _HEAD.unpack_from(asked)[3]
    extents = [_EXTENT.unpack_from(asked, _HEAD.size + number * _EXTENT.size) for number in range(mapped)]
    return not any(extent[5] & _NOT_WRITTEN for extent in extents)
