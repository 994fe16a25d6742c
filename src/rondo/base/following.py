"""Following a file as it grows: its new lines, as soon as the kernel tells (inotify(7)), or none after a while.

Nothing is kept from one look to the next but a place, ``FILE:BYTE``, which whoever asks gives back.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rondo.base.errors import NotFound
from rondo.base.looking import open_file
from rondo.base.showing import news, tail, whole

PATIENCE = 3.0  # seconds until a look without news ends: well below the timeout of commands
TOGETHER = 0.2  # seconds: what is written within them is shown together
_LIBC = ctypes.CDLL(None, use_errno=True)
_WRITTEN = 0x2 | 0x4 | 0x400 | 0x800  # IN_MODIFY, IN_ATTRIB, IN_DELETE_SELF, IN_MOVE_SELF


def begin(workspace: Path, name: str, lines: int, count: int | None) -> tuple[list[str], str]:
    """The last lines (or bytes) of the file ``name``, as far as lines are whole, and the place after them."""
    with open_file(workspace, name) as file:
        end = whole(file)
        return tail(file, lines, count, end=end), _place(file, end)


async def follow(workspace: Path, name: str, place: str, patience: float = PATIENCE) -> tuple[list[str], str]:
    """What was written to the file ``name`` since ``place``, waiting at most ``patience`` seconds for it.

    A file that was replaced, or is shorter than it was, is shown from its beginning, and that is said. Raises what
    ``open_file`` raises.
    """
    try:
        return await _follow(workspace, name, place, patience)
    except NotFound:
        await asyncio.sleep(TOGETHER)  # whoever turns a log over renames it first, and then makes it anew
        return await _follow(workspace, name, place, patience)


async def _follow(workspace: Path, name: str, place: str, patience: float) -> tuple[list[str], str]:
    with open_file(workspace, name) as file, watched(file.fileno()) as changed:
        texts, after = await asyncio.to_thread(_look, workspace, name, place)
        if after == place:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await changed.wait()
                    await asyncio.sleep(TOGETHER)  # the pace of a live view
            texts, after = await asyncio.to_thread(_look, workspace, name, place)
        return texts, after


def _look(workspace: Path, name: str, place: str) -> tuple[list[str], str]:
    with open_file(workspace, name) as file:
        known = re.fullmatch(r"(\d{1,20}):(\d{1,20})", place)
        found = os.fstat(file.fileno())
        if known and int(known[1]) == found.st_ino and int(known[2]) <= found.st_size:
            texts, end = news(file, int(known[2]))
            return texts, _place(file, end)
        texts, end = news(file, 0)
        return [f"({name} was replaced or cut: from its beginning)", *texts], _place(file, end)


def _place(file: BinaryIO, byte: int) -> str:
    return f"{os.fstat(file.fileno()).st_ino}:{byte}"


@contextmanager
def watched(descriptor: int) -> Iterator[asyncio.Event]:
    """Set as soon as the file open as ``descriptor``, whatever its name is by now, changes.

    Never, where the kernel has no watch to give: no Linux, or too many of them.
    """
    woken, watch = asyncio.Event(), _watch(descriptor)
    loop = asyncio.get_running_loop()
    try:
        if watch >= 0:
            loop.add_reader(watch, woken.set)
        yield woken
    finally:
        if watch >= 0:
            loop.remove_reader(watch)
            os.close(watch)


def _watch(descriptor: int) -> int:
    """An inotify descriptor, or -1."""
    if not hasattr(_LIBC, "inotify_init1"):
        return -1
    watch: int = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch >= 0 and _LIBC.inotify_add_watch(watch, f"/proc/self/fd/{descriptor}".encode(), _WRITTEN) < 0:
        os.close(watch)
        return -1
    return watch
