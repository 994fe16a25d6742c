"""Room on a disk: how much there is, in words, and whether something fits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rondo.base.errors import NoSpace

MARGIN = 64 << 20  # bytes of disk that stay free
_BLOCK = 512  # bytes, the unit of ``st_blocks``


def free_bytes(folder: Path) -> int:
    """What may still be written on the disk of ``folder``."""
    return shutil.disk_usage(folder).free


def fits(size: int, free: int) -> bool:
    """Whether ``size`` bytes and some to spare are ``free``."""
    return free >= size + MARGIN


def see_it_fits(where: Path, size: int, free: int, what: str, hint: str) -> None:
    """Raises ``NoSpace`` where ``size`` bytes for ``what`` and some to spare are more than ``free``."""
    if not fits(size, free):
        told = f"{what} needs {in_words(size)} and {in_words(MARGIN)} to spare, {in_words(max(free, 0))} are free"
        raise NoSpace(told, where=str(where), hint=hint)


def still_to_come(into: Path, size: int) -> int:
    """How much the disk still has to give for the ``size`` bytes of a transfer to ``into``.

    What is there, whole or as a part, has its room already; one made of a spare also for what is not written yet.
    """
    return max(0, size - sum(found.st_blocks * _BLOCK for found in pieces(into)))


def pieces(into: Path) -> Iterator[os.stat_result]:
    """What is there of a transfer to ``into``: the whole file, or its part."""
    for path in (into, into.with_name(f"{into.name}.part")):
        with suppress(FileNotFoundError):
            yield path.stat()


def entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing where there is none, or it may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder, as far as they can be read."""
    if path.is_dir() and not path.is_symlink():
        return sum(size_of(entry) for entry in entries(path))
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def in_words(size: int) -> str:
    """``size`` bytes for people: ``17 B``, ``1.5 MiB``."""
    if size < 1 << 10:
        return f"{size} B"
    unit = min((size.bit_length() - 1) // 10, 4)
    return f"{size / (1 << 10 * unit):.1f} {'KMGT'[unit - 1]}iB"
