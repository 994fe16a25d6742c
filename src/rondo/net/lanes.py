"""Taking turns: as many files move at once as keep this process busy; the others wait for a lane.

Theory of operation. What is on its way to a busy process fills the window of its stream, some 15 MB for every file, so
that memory would grow with the number of clients. A file that waits for its line, or for the other side, fills
nothing. So only a few files have a lane at a time, in the order they came; and one that was waited for during most of
a second leaves its lane to the next while it goes on. Clients with slow lines hold nobody up, nor do dead ones.

Where this process is busy, the next file would gain little and cost its window; and whoever shares the machine with it
is slow because of it. Then a file keeps its lane, unless it hardly moves at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

MOST = 2  # lanes: the pauses of one are the gain of the other
PERIOD = 1.0  # seconds between looks at who waits for whom
SLOW, STILL = 0.5, 0.9  # of a period that a file was waited for: its lane is left where we idle, in any case
BUSY = 0.25  # of a core
BEGIN = 5.0  # seconds that a lane is kept for a file that was asked for


class Lane:
    """The place of one moving file. ``leave`` gives it to the next; the file may go on."""

    def __init__(self, free: asyncio.Semaphore, period: float, begin: float, computed: Callable[[], float]) -> None:
        self._free = free
        self._period = period
        self._computed = computed
        self._before = 0.0  # that this process had computed at the last look
        self._loop = asyncio.get_running_loop()
        self._waited = 0.0
        self._since: float | None = None  # when this wait for the other side began
        self._timer = self._loop.call_later(begin, self.leave)
        self.left = False

    def begin(self) -> None:
        """The file moves."""
        self._timer.cancel()
        self._before = self._computed()
        self._timer = self._loop.call_later(self._period, self._look)

    def leave(self) -> None:
        self._timer.cancel()
        if not self.left:
            self.left = True
            self._free.release()

    async def coming(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same chunks; who makes them is the other side."""
        self._wait()
        async for chunk in chunks:
            self._go()
            yield chunk
            self._wait()
        self._go()

    async def going(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same chunks; who takes them is the other side."""
        async for chunk in chunks:
            self._wait()
            yield chunk
            self._go()

    def _wait(self) -> None:
        self._since = self._loop.time()

    def _go(self) -> None:
        if self._since is not None:
            self._waited += self._loop.time() - self._since
            self._since = None

    def _look(self) -> None:
        if self._since is not None:
            self._go()
            self._wait()
        now, waited = self._computed(), self._waited / self._period
        if waited > (STILL if now - self._before > BUSY * self._period else SLOW):
            self.leave()
            return
        self._waited, self._before = 0.0, now
        self._timer = self._loop.call_later(self._period, self._look)


class Lanes:
    """``most`` lanes. ``period`` and ``begin`` in seconds, ``computed``: seconds of this process; others in tests."""

    def __init__(
        self,
        most: int = MOST,
        period: float = PERIOD,
        begin: float = BEGIN,
        computed: Callable[[], float] = time.process_time,
    ) -> None:
        self._free = asyncio.Semaphore(most)
        self._times = (period, begin, computed)
        self._kept: dict[str, Lane] = {}

    async def keep(self, name: str) -> None:
        """Wait for a lane for the file ``name``; it is lost where the file does not come soon."""
        lane = await self._next()
        earlier = self._kept.pop(name, None)
        if earlier is not None:
            earlier.leave()
        self._kept[name] = lane

    @asynccontextmanager
    async def lane(self, name: str = "") -> AsyncIterator[Lane]:
        """A lane, the one kept for ``name`` if any, until the block ends."""
        lane = self._kept.pop(name, None)
        if lane is None or lane.left:
            lane = await self._next()
        lane.begin()
        try:
            yield lane
        finally:
            lane.leave()

    async def _next(self) -> Lane:
        await self._free.acquire()
        self._kept = {name: lane for name, lane in self._kept.items() if not lane.left}
        return Lane(self._free, *self._times)
