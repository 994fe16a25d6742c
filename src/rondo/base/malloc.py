"""What glibc's malloc should know of a process (mallopt(3)); elsewhere these do nothing."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MIB = 1 << 20


def one_arena() -> None:
    """Let all threads share one arena.

    Otherwise each of gRPC's threads keeps the peak of what it ever held: eight clients at once, twice the memory.
    """
    _tell(_ARENA_MAX, 1)


def keep_freed(mib: int) -> None:
    """Use freed memory, up to ``mib`` MiB, for what is asked for next instead of giving it back in between.

    Training makes arrays of the same sizes again and again, a transfer its chunks, and every page that comes back has
    to be cleared first.
    """
    _tell(_MMAP_THRESHOLD, mib // 2 * _MIB)
    _tell(_TRIM_THRESHOLD, mib * _MIB)


def _tell(what: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(what, value)
