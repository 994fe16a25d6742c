"""A person at a terminal: a program in a pseudo-terminal, keys that are pressed, and the picture as it is seen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pyte

WIDTH, HEIGHT = 200, 60
LONG = 60.0  # seconds after which a test says what it was waiting for
CTRL_C, CTRL_D, TAB, ENTER, UP = "\x03", "\x04", "\t", "\r", "\x1b[A"

# The terminal becomes the session's own, so that Ctrl-C is a signal. In a program of its own, not in a fork of this
# process: gRPC, whose threads the fork lacks, now and then aborts there, before anything could be said.
_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class _Picture(pyte.HistoryScreen):
    """Answers where the cursor is, as terminals do."""

    def __init__(self, reply: Callable[[bytes], object]) -> None:
        super().__init__(WIDTH, HEIGHT, history=10_000, ratio=0.5)
        self._reply = reply

    def write_process_input(self, data: str) -> None:
        self._reply(data.encode())


class Screen:
    """``rows``: all that was ever shown, line by line, as far as the cursor; ``exit``: the program's exit code."""

    def __init__(self, terminal: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._terminal = terminal
        self._picture = _Picture(lambda data: os.write(terminal, data))
        self._stream = pyte.ByteStream(self._picture)
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._terminal, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                try:
                    data = os.read(self._terminal, 65536)
                except BlockingIOError:  # it was told twice of the same bytes
                    continue
                except OSError:  # the program has closed its end
                    return
                async with self._changed:
                    self._stream.feed(data)
                    self._changed.notify_all()
        finally:
            loop.remove_reader(self._terminal)

    @property
    def rows(self) -> list[str]:
        above = [_text(line) for line in self._picture.history.top]
        return [*above, *(_text(self._picture.buffer[y]) for y in range(self._picture.cursor.y + 1))]

    @property
    def below(self) -> list[str]:
        """What stands below the cursor: a bar, a menu."""
        return [_text(self._picture.buffer[y]) for y in range(self._picture.cursor.y + 1, HEIGHT)]

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    async def until(self, happened: Callable[[], bool], what: str = "") -> None:
        """Wait until the picture is so; fails after LONG with the picture."""
        try:
            async with asyncio.timeout(LONG), self._changed:
                await self._changed.wait_for(happened)
        except TimeoutError:
            raise AssertionError(f"never {what}:\n" + "\n".join([*self.rows[-50:], "(cursor)", *self.below])) from None

    async def sees(self, words: str, rows: int = 10**6) -> None:
        """Until ``words`` stand somewhere in the last ``rows`` rows, or below the cursor."""
        await self.until(lambda: any(words in row for row in [*self.rows[-rows:], *self.below]), f"saw {words!r}")

    async def prompted(self, prompt: str = ">") -> int:
        """Until the cursor waits behind an empty prompt; the number of its row."""
        await self.until(lambda: self.rows[-1] == prompt, f"prompted {prompt!r}")
        return len(self.rows) - 1

    async def says(self, line: str) -> list[str]:
        """What the program answers to a typed line, up to its next prompt."""
        at = await self.prompted()
        answer = await self.answers(line + ENTER)
        assert self.rows[at] == f"> {line}".rstrip(), self.rows[at:]
        return answer

    async def answers(self, keys: str, prompt: str = ">") -> list[str]:
        """What stands between this line and the next prompt, once ``keys`` have been pressed."""
        at = len(self.rows) - 1
        self.press(keys)
        await self.until(lambda: len(self.rows) - 1 > at and self.rows[-1] == prompt, f"answered {keys!r}")
        return self.rows[at + 1 : -1]

    async def exit(self) -> int:
        """The exit code, once all it said has been read."""
        try:
            async with asyncio.timeout(LONG):
                code = await self.process.wait()
                await self._reading
        except TimeoutError:
            raise AssertionError("it does not leave:\n" + "\n".join(self.rows[-50:])) from None
        return code

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        os.close(self._terminal)


def _text(line: Mapping[int, pyte.screens.Char]) -> str:
    return "".join(line[x].data for x in range(WIDTH)).rstrip()


@asynccontextmanager
async def screen(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> AsyncIterator[Screen]:
    """``command`` in a terminal of its own; killed at the end where it has not left."""
    terminal, slave = pty.openpty()
    os.set_blocking(terminal, False)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _AT_TERMINAL, *command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
        )
    finally:
        os.close(slave)
    made = Screen(terminal, process)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def console(
    kit: Path, *more: str, cwd: Path | None = None, user: str = "", env: Mapping[str, str] | None = None
) -> AsyncIterator[Screen]:
    """``rondo admin KIT`` (or a kit's script) in a terminal, logged in where a ``user`` is given."""
    rondo = Path(sys.executable).parent / "rondo"
    command = [str(kit)] if kit.suffix == ".sh" else [str(rondo), "admin", str(kit)]
    async with screen(*command, *more, cwd=cwd, env={"RONDO": str(rondo), **(env or {})}) as made:
        if user:
            await made.prompted("User Name:")
            await made.answers(user + ENTER)
        yield made
