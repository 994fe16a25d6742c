"""Where lines come from and words go: a person's terminal (``rondo.console.terminal``), or a script."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from typing import IO, Protocol

from rondo.base.errors import BadInput

LONGEST = 1 << 20  # bytes of a line


class Interrupted(Exception):
    """Ctrl-C at the prompt."""


class Lines(Protocol):
    """``interactive``: a person types and looks."""

    @property
    def interactive(self) -> bool: ...
    async def ask(self, prompt: str, *, remember: bool = False) -> str:
        """The next line. ``remember``: for the history. Raises ``EOFError`` (Ctrl-D, the end), ``Interrupted``."""

    def say(self, text: str) -> None: ...
    def redraw(self) -> None:
        """What the prompt shows beside the line has changed."""


class Script:
    """Lines of a pipe or a file; each is shown behind its prompt, so that the output can be read."""

    interactive = False

    def __init__(self, source: IO[bytes] | None = None) -> None:
        self._source = source if source is not None else sys.stdin.buffer
        self._stream: asyncio.StreamReader | None = None

    async def ask(self, prompt: str, *, remember: bool = False) -> str:
        """Raises ``BadInput`` for what is no line; what comes after it is not read."""
        read = await self._line()
        if not read:
            raise EOFError
        line = read.decode("utf-8", "replace").rstrip("\r\n")
        self.say(prompt + line)
        return line

    async def _line(self) -> bytes:
        if self._stream is None and stat.S_ISREG(os.fstat(self._source.fileno()).st_mode):
            return self._source.readline(LONGEST)
        if self._stream is None:
            self._stream = asyncio.StreamReader(LONGEST)
            protocol = asyncio.StreamReaderProtocol(self._stream)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._source)
        try:
            return await self._stream.readline()
        except ValueError:
            raise BadInput(f"a line of more than {LONGEST} bytes") from None

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def redraw(self) -> None:
        """Nothing is drawn beside the lines of a script."""
