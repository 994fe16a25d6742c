"""Pauses between tries: one exponential backoff with jitter, used by everything that waits for the other side.

Half of a pause is fixed, half is random, so a thousand clients of a restarted server do not come back in one
instant and nobody tries without any pause. Randomness, sleep and clock come in as arguments.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rondo.base.clock import Clock, SystemClock
from rondo.base.errors import GaveUp, RondoError, Unreachable

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """How to wait. ``patience``: seconds from the first failure to giving up, None for never (Clara's
    ``retry_timeout`` is 30 s). ``first`` and ``most``: shortest and longest pause, seconds."""

    rng: random.Random
    patience: float | None = None
    first: float = 0.25
    factor: float = 2.0
    most: float = 5.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Clock = field(default_factory=SystemClock)

    def tries(self) -> Tries:
        return Tries(self)


class Tries:
    """One attempt at something, with as many tries as it takes."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self._since = 0.0

    def progressed(self) -> None:
        """Something moved: pauses are short again and patience is whole again."""
        self._failures = 0

    async def pause(self, error: RondoError) -> None:
        """Wait before the next try; ``error`` is why the last one failed.

        Raises ``GaveUp`` (caused by ``error``) when patience has run out. The last pause is cut so that there is
        one more try right at the end.
        """
        backoff = self._backoff
        now = backoff.clock.ticks()
        if self._failures == 0:
            self._since = now
        longest = min(backoff.most, backoff.first * backoff.factor ** min(self._failures, 60))
        seconds = longest * (0.5 + 0.5 * backoff.rng.random())
        if backoff.patience is not None:
            left = self._since + backoff.patience - now
            if left <= 0:
                raise GaveUp(
                    f"gave up after {now - self._since:.0f} s: {error.what}", where=error.where, hint=error.hint
                ) from error
            seconds = min(seconds, left)
        self._failures += 1
        _log.info("%s; trying again in %.1f s", error, seconds)
        await backoff.sleep(seconds)


async def keep_trying(
    step: Callable[[], Awaitable[T]], backoff: Backoff, again: tuple[type[RondoError], ...] = (Unreachable,)
) -> T:
    """The result of ``step``, repeated while it raises one of ``again``. Raises ``GaveUp`` when patience ends."""
    tries = backoff.tries()
    while True:
        try:
            return await step()
        except again as error:
            await tries.pause(error)
