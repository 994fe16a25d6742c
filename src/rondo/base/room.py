"""Room on a disk: how much there is, in words, and whether something fits."""

from __future__ import annotations

import shutil
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
    here = 0
    for path in into.parent.glob(f"{into.name}*"):
        with suppress(FileNotFoundError):
            here += path.stat().st_blocks * _BLOCK
    return max(0, size - here)


def in_words(size: int) -> str:
    """``size`` bytes for people: ``17 B``, ``1.5 MiB``."""
    if size < 1 << 10:
        return f"{size} B"
    unit = min((size.bit_length() - 1) // 10, 4)
    return f"{size / (1 << 10 * unit):.1f} {'KMGT'[unit - 1]}iB"
