"""An event loop on a thread of its own, for programs that are not asynchronous, or whose own loop is busy (notebooks).

All sessions of a process share one: gRPC wants one loop in a process. It starts with the first and ends with the last.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from rondo.base.errors import Conflict

T = TypeVar("T")

CLOSED = "the session is closed"


@dataclass
class _Shared:
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    users: int = 0


_lock = threading.Lock()
_shared: _Shared | None = None


class Background:
    """A share of the loop. What is asked of it after ``close`` raises ``Conflict``, as does what was under way then."""

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()
        self._on: _Shared | None = _enter()

    def do(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """The result of ``work``, which is given up where the caller is interrupted, or after ``seconds``.

        Raises what ``work`` raises, and ``TimeoutError``.
        """
        future = self.begin(work)
        try:
            return future.result(seconds)
        except CancelledError:
            raise Conflict(CLOSED, hint="rondo.connect again") from None
        except BaseException:
            future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """The result to come."""
        on = self._on
        if on is None or threading.current_thread() is on.thread:
            work.close()
            raise Conflict("this is asked from within a call that is under way" if on else CLOSED)
        future = asyncio.run_coroutine_threadsafe(work, on.loop)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def close(self) -> None:
        """Give up what is under way; the last who closes ends the thread."""
        on, self._on = self._on, None
        if on is not None:
            for future in list(self._futures):
                future.cancel()
            _leave(on)


def _enter() -> _Shared:
    global _shared
    with _lock:
        if _shared is None:
            started: Future[_Shared] = Future()
            threading.Thread(target=_run, args=(started,), name="rondo", daemon=True).start()
            _shared = started.result()
        _shared.users += 1
        return _shared


def _leave(on: _Shared) -> None:
    global _shared
    with _lock:
        on.users -= 1
        if on.users == 0:
            on.loop.call_soon_threadsafe(on.stop.set)
            on.thread.join()
            _shared = None


def _run(started: Future[_Shared]) -> None:
    loop = asyncio.new_event_loop()

    async def live() -> None:
        stop = asyncio.Event()
        started.set_result(_Shared(threading.current_thread(), loop, stop))
        await stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await loop.shutdown_asyncgens()

    with ThreadPoolExecutor(thread_name_prefix="rondo") as pool:  # ended here: a program that exits starts no thread
        loop.set_default_executor(pool)
        loop.run_until_complete(live())
        loop.close()
