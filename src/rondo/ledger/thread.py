"""A thread of its own for blocking work, one piece after the other, in the order it was asked for.

What an executor does for this costs more than a short transaction: a lock, a condition and two futures for each. Here
work goes through one queue, and what is finished by the time the event loop looks is told in one call to it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from rondo.base.errors import RondoError

T = TypeVar("T")

_Future = asyncio.Future[Any]


class OneThread:
    """Use from one event loop; ``close`` waits for what was asked."""

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], Any], _Future] | None] = SimpleQueue()
        self._done: deque[tuple[_Future, Any, BaseException | None]] = deque()
        self._told = False  # the loop will look, and has not yet
        self._name = name
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises. It is done to its end also where the caller is cancelled.

        Raises ``RondoError`` after ``close``: nobody is left to do it.
        """
        if self._closed:
            raise RondoError(f"the {self._name} is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.put((work, future))
        return await future

    def close(self) -> None:
        self._closed = True
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            work, future = asked
            try:
                self._done.append((future, work(), None))
            except BaseException as error:  # noqa: BLE001 it goes on in ``run``, which waits for this
                self._done.append((future, None, error))
            if not self._told:
                self._told = True  # before the loop is told: it takes it back before it looks
                try:
                    future.get_loop().call_soon_threadsafe(self._tell)
                except RuntimeError:  # it is closed: nobody is left to be told
                    self._told = False
            del asked, work, future  # or the last one would be kept until there is a next

    def _tell(self) -> None:
        self._told = False
        while self._done:
            future, value, error = self._done.popleft()
            if future.done():  # its caller was cancelled
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
