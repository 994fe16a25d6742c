"""Room on the server's disk: what is free, less what is promised to uploads that are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rondo.base.clock import Clock
from rondo.base.room import fits, free_bytes, pieces, see_it_fits, still_to_come
from rondo.base.spare import drop_spares

LAPSE = 60.0  # seconds after the last byte of an upload until its room is for others; a dead peer is noticed in half
FORGOTTEN = 3600.0  # seconds after that until it is not thought of any more
HINT = "free space on the server; the client tries again"


@dataclass(frozen=True)
class _Promise:
    into: Path
    size: int
    at: float

    def silent(self, now: float) -> float:
        """For how many seconds nothing has come."""
        return now - max((found.st_mtime for found in pieces(self.into)), default=self.at)


class Room:
    """Ten clients who offer ten gigabytes each at once are not all promised the same ten gigabytes.

    In memory only: a server that was killed has no upload under way, and whoever goes on with one offers it again.
    """

    def __init__(self, folder: Path, clock: Clock, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = folder
        self._clock = clock
        self._free = free
        self._promised: dict[Path, _Promise] = {}

    def need(self, size: int, what: str) -> None:
        """Raises ``NoSpace`` before something begins that could not end well."""
        reserved = self._reserved()
        if not fits(size, self._free(self._folder) - reserved):
            drop_spares(self._folder / "spool")
        see_it_fits(self._folder, size, self._free(self._folder) - reserved, what, HINT)

    def promise(self, into: Path, size: int, *, alone: bool) -> None:
        """Room for the ``size`` bytes that will be ``into``, until ``settled``. Raises ``NoSpace``.

        ``alone``: their sender sends nothing else beside them, what it was promised before is void.
        """
        void = [path for path in self._promised if path == into or (alone and path.parent == into.parent)]
        for path in void:
            del self._promised[path]
        self.need(still_to_come(into, size), "this upload")
        self._promised[into] = _Promise(into, size, self._clock.now())

    def settled(self, into: Path) -> None:
        """It has arrived and counts, or was refused."""
        self._promised.pop(into, None)

    def arriving(self) -> frozenset[Path]:
        """Files that are under way, or here but not settled."""
        return frozenset(self._promised)

    def _reserved(self) -> int:
        now, rests = self._clock.now(), 0
        for into, promised in list(self._promised.items()):
            silent = promised.silent(now)
            if silent < LAPSE:
                rests += still_to_come(into, promised.size)
            elif silent > LAPSE + FORGOTTEN:
                del self._promised[into]
        return rests
