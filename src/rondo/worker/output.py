"""What a worker prints: kept whole in its log file, line by line with time and site, and its last lines at hand.

A thread reads the pipe, so that a slow disk holds up the worker that prints and never the event loop. Memory does
not grow with what is printed: bytes go to the file as they come, newline or not.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rondo.base.errors import NoSpace

_CHUNK = 64 * 1024
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 40
_LINE_LENGTH = 400  # characters of a line that a person is shown; the file keeps all
_LINES_A_SECOND = 50  # offered to ``on_line``; the file keeps all

OnLine = Callable[[str], None]


class LogFile:
    """Appends ``TIME TAG | text`` lines to ``path``.

    At ``limit`` bytes the file becomes ``path.1``; the one that was ``path.1`` is lost, and the new file says how
    many bytes that were. A full disk loses output, never the worker: once there is room the file says how much.
    """

    def __init__(self, path: Path, tag: str, limit: int) -> None:
        self._path, self._tag, self._limit = path, tag, limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 closed in close()
        except OSError as error:
            raise NoSpace(f"cannot write the worker's log: {error.strerror}", where=str(path)) from error
        self._size = self._file.tell()
        self._lost = 0
        self._at_start = True

    def write(self, chunk: bytes) -> None:
        prefix = self._prefix()
        body, end = (chunk[:-1], b"\n") if chunk.endswith(b"\n") else (chunk, b"")
        text = (prefix if self._at_start else b"") + body.replace(b"\n", b"\n" + prefix) + end
        try:
            self._make_room()
            if self._lost:
                self._append(prefix + b"[rondo] %d bytes of output were lost: the disk was full\n" % self._lost)
                self._lost = 0
            self._append(text)
        except OSError:
            self._lost += len(chunk)
        self._at_start = bool(end)

    def close(self) -> None:
        self._file.close()

    def _prefix(self) -> bytes:
        now = datetime.fromtimestamp(time.time()).isoformat(timespec="milliseconds")
        return f"{now} {self._tag} | ".encode()

    def _append(self, text: bytes) -> None:
        view = memoryview(text)
        while view:
            count = self._file.write(view)
            self._size += count
            view = view[count:]

    def _make_room(self) -> None:
        if self._size < self._limit:
            return
        older = self._path.with_name(self._path.name + ".1")
        dropped = older.stat().st_size if older.exists() else 0
        os.replace(self._path, older)
        fresh = open(self._path, "ab", buffering=0)  # noqa: SIM115 closed in close()
        self._file.close()
        self._file, self._size = fresh, 0
        if dropped:
            self._append(self._prefix() + b"[rondo] %d bytes of older output were dropped\n" % dropped)
            self._at_start = True


class Output:
    """The reading end of a worker's stdout and stderr. ``descriptor`` is owned and closed here."""

    def __init__(self, descriptor: int, log: LogFile, on_line: OnLine | None = None) -> None:
        self._descriptor, self._log, self._on_line = descriptor, log, on_line
        self._loop = asyncio.get_running_loop()
        self._tail = bytearray()
        self._turn = threading.Lock()
        self._open = True
        self._budget = _Budget(_LINES_A_SECOND)
        os.set_blocking(descriptor, False)
        self._thread = threading.Thread(target=self._read, name="worker-output", daemon=True)
        self._thread.start()

    def last_lines(self) -> str:
        """The last 40 lines, each cut to 400 characters."""
        lines = bytes(self._tail).decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(line[-_LINE_LENGTH:] for line in lines)

    async def catch_up(self) -> None:
        """Return when everything that was printed before this call has been read."""
        await asyncio.to_thread(self._pump, 16)

    async def finish(self, patience: float = 1.0) -> None:
        """Read to the end of the output and close the log; the writers must be gone. Idempotent."""
        await asyncio.to_thread(self._thread.join, patience)

    def _read(self) -> None:
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        while self._open:
            waiting.poll()
            self._pump(1)
        self._log.close()
        os.close(self._descriptor)

    def _pump(self, chunks: int) -> None:
        with self._turn:
            for _ in range(chunks):
                if not self._open:
                    return
                try:
                    chunk = os.read(self._descriptor, _CHUNK)
                except BlockingIOError:
                    return
                self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._open = False
            return
        self._log.write(chunk)
        self._tail += chunk[-_TAIL_BYTES:]
        del self._tail[:-_TAIL_BYTES]
        if self._on_line is not None:
            for line in self._budget.lines(chunk, time.monotonic()):
                with suppress(RuntimeError):  # the loop is closed: nobody is watching
                    self._loop.call_soon_threadsafe(self._on_line, line)


class _Budget:
    """Cuts chunks into lines, and lets through so many a second; says how many it did not."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._since = 0.0
        self._left = most
        self._hidden = 0
        self._begun = b""

    def lines(self, chunk: bytes, now: float) -> list[str]:
        shown: list[str] = []
        if now - self._since >= 1.0:
            self._since, self._left = now, self._most
            if self._hidden:
                shown.append(f"[rondo] {self._hidden} lines are only in the log")
                self._hidden = 0
        *whole, begun = chunk.split(b"\n", self._left)
        if whole:
            whole[0] = self._begun + whole[0]
            self._begun = b""
        self._left -= len(whole)
        shown += [line[:_LINE_LENGTH].decode(errors="replace").rstrip("\r") for line in whole]
        cut = begun.rpartition(b"\n")
        self._hidden += cut[0].count(b"\n") + 1 if cut[1] else 0
        self._begun = (b"" if cut[1] else self._begun) + cut[2]
        self._begun = self._begun[:_LINE_LENGTH]
        return shown
