"""Wakes waiting calls: a ring for a topic is heard by whoever looked before it rang.

Embedded default, within one process; the seam where a shared database would use LISTEN and NOTIFY.
"""

from __future__ import annotations

import asyncio
from collections import Counter


class Bell:
    """``ticket = bell.ticket(topic)`` before reading the ledger, then ``await bell.wait(topic, ticket, seconds)``."""

    def __init__(self) -> None:
        self._rings: Counter[str] = Counter()
        self._sleepers: dict[str, set[asyncio.Future[None]]] = {}

    def ticket(self, topic: str) -> int:
        return self._rings[topic]

    def ring(self, *topics: str) -> None:
        self._rings.update(topics)
        for topic in topics:
            for sleeper in self._sleepers.pop(topic, ()):
                if not sleeper.done():
                    sleeper.set_result(None)

    async def wait(self, topic: str, ticket: int, seconds: float | None = None) -> bool:
        """True as soon as ``topic`` has rung since ``ticket``; False after ``seconds``."""
        if self._rings[topic] != ticket:
            return True
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.setdefault(topic, set()).add(sleeper)
        try:
            async with asyncio.timeout(seconds):
                await sleeper
        except TimeoutError:
            return False
        finally:
            self._forget(topic, sleeper)
        return True

    def _forget(self, topic: str, sleeper: asyncio.Future[None]) -> None:
        others = self._sleepers.get(topic, set())
        others.discard(sleeper)
        if not others:
            self._sleepers.pop(topic, None)
