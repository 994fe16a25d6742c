"""Files on their way while other commands are answered: which, how far, and how to stop one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from rondo.base.clock import Clock, SystemClock
from rondo.base.room import in_words

BAR = 24  # characters of a full bar


@dataclass
class Transfer:
    """``title``: the line that was typed. ``folder``: what is on its way to the server, "" for what comes from it.

    ``done`` of ``size`` bytes are there; ``size`` is 0 until it is known. ``began``: ticks of the first byte.
    """

    number: int
    title: str
    folder: str = ""
    done: int = 0
    size: int = 0
    began: float = 0.0
    first: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def line(self, now: float) -> str:
        """How far it is, in one line."""
        if not self.size:
            return f"{self.title}: being prepared"
        share = self.done / self.size
        full = round(share * BAR)
        pace, seconds = self.done - self.first, now - self.began
        speed = f", {in_words(int(pace / seconds))}/s" if seconds > 0 and pace > 0 else ""
        bar = "━" * full + "┄" * (BAR - full)
        return f"{self.title}  {bar} {share:4.0%}  {in_words(self.done)} of {in_words(self.size)}{speed}"


class Transfers:
    """``changed`` is told whenever there is something new to show."""

    def __init__(self, changed: Callable[[], None], clock: Clock | None = None) -> None:
        self.running: dict[int, Transfer] = {}
        self._changed = changed
        self._clock = clock if clock is not None else SystemClock()
        self._last = 0

    def begin(self, title: str, folder: str) -> Transfer:
        self._last += 1
        made = Transfer(self._last, title, folder)
        self.running[made.number] = made
        return made

    def moved(self, transfer: Transfer, done: int, size: int) -> None:
        """``done`` of ``size`` bytes are there now."""
        if not transfer.size:
            transfer.began, transfer.first = self._clock.ticks(), done
        transfer.done, transfer.size = done, size
        self._changed()

    def end(self, transfer: Transfer) -> None:
        self.running.pop(transfer.number, None)
        self._changed()

    def lines(self) -> list[str]:
        """One for each that is under way."""
        now = self._clock.ticks()
        return [transfer.line(now) for transfer in self.running.values()]

    def sending(self, folder: str) -> Transfer | None:
        """The transfer that brings ``folder`` to the server."""
        return next((one for one in self.running.values() if one.folder == folder), None)
