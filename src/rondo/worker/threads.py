"""Work on several threads, its results in the order it was asked for: how the pure rooms get more than one core."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

_MOST = 4
"""Threads: each has its own blocks, and from here on the disk and the digest of the result set the pace."""
_SMALL = 2 << 20
"""Bytes: up to here it is done before threads have begun."""


def worth(size: int) -> int:
    """How many threads are worth starting for a model of ``size`` bytes."""
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST, able) if size > _SMALL else 1


class SideBySide:
    """Call it with a function and what to call it with, one by one: yields what it returns, in that order.

    At most one result more than there are ``threads`` exists at a time. The first error is raised in its turn, and
    nothing is begun after it. The threads end with the generator.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __call__(self, function: Callable[[T], U], items: Iterable[T]) -> Generator[U, None, None]:
        begun: deque[Future[U]] = deque()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="fold") as pool:
            try:
                for item in items:
                    begun.append(pool.submit(function, item))
                    if len(begun) > self._threads:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for future in begun:
                    future.cancel()
