"""An admin's session, asked from a program that is not asynchronous: each call returns when its answer is there."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rondo.base.clock import SystemClock
from rondo.base.errors import Conflict, ProtocolBroken, RondoError
from rondo.commands.rows import Row
from rondo.console.background import Background
from rondo.console.session import log_in
from rondo.net.kits import load_kit
from rondo.net.transfer import Progress

T = TypeVar("T")

PARTING = 5.0  # seconds for a goodbye


class Link:
    """Logged in when it is made, until ``close`` or the end of the program."""

    def __init__(self, kit: Path, patience: float) -> None:
        self.clock = SystemClock()
        opened = load_kit(kit, self.clock.now(), "admin")
        self._stack = AsyncExitStack()
        self._background = Background()
        try:
            entered = self._stack.enter_async_context(log_in(opened, version("rondo-fl"), patience))
            self.admin = self._background.do(entered)
        except BaseException:
            self._background.close()
            raise
        atexit.register(self.close)

    def close(self) -> None:
        """Log out. What is under way elsewhere raises ``Conflict``."""
        atexit.unregister(self.close)
        with suppress(RondoError, TimeoutError):
            self._background.do(self._stack.aclose(), PARTING)
        self._background.close()

    def do(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """As ``Background.do``."""
        return self._background.do(work, seconds)

    def rows(self, name: str, args: list[str], progress: Progress | None = None) -> list[Row]:
        """What a command answers, all of it."""

        async def ask() -> list[Row]:
            return [row async for row in self.admin.rows(name, args, progress)]

        return self.do(ask())

    def facts(self, name: str, *args: str) -> dict[str, Any]:
        """The values that a command answers with."""
        return self.do(self.admin.facts(name, *args))

    def each(self, found: AsyncGenerator[T, None], seconds: float | None = None) -> Iterator[T]:
        """One after the other, until ``seconds`` from now: then it raises ``TimeoutError``."""
        until = None if seconds is None else self.clock.ticks() + seconds
        end, turn = object(), asyncio.Lock()  # what is given up takes a moment to end

        async def after() -> T | object:
            async with turn:
                return await anext(found, end)

        async def close() -> None:
            async with turn:
                await found.aclose()

        try:
            while (one := self.do(after(), until and max(0.0, until - self.clock.ticks()))) is not end:
                yield one  # type: ignore[misc]  # it is not the end
        finally:
            with suppress(Conflict):
                self.do(close())


def read(value: Any, kind: type[T]) -> T:
    """``value`` of an answer as what it should be. Raises ``ProtocolBroken``."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProtocolBroken(
            f"an answer that cannot be read: {error}", hint="the server may be of another version"
        ) from None
