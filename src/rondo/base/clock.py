"""Time comes in as an argument. ``SystemClock`` in programs, ``ManualClock`` where time must be told."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how much has passed."""

    def now(self) -> float:
        """Seconds since the epoch (wall time, for records)."""

    def ticks(self) -> float:
        """Seconds that only ever grow (for durations)."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        return time.time()

    def ticks(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, start: float = 0.0) -> None:
        self._at = start

    def now(self) -> float:
        return self._at

    def ticks(self) -> float:
        return self._at

    def advance(self, seconds: float) -> None:
        self._at += seconds
