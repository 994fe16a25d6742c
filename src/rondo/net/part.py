"""A file that is not whole yet: ``<name>.part``, hashed as it grows, renamed when it is complete and right.

Theory of operation. What is here is as long as the part, unless the part is made of a file that nobody needed any
more (``rondo.base.spare``). Such a one ends, from before it has its name until it is whole, in a mark: whose bytes
these are, and how many of them are here. The number is written after every chunk, so it never says too much: what a
killed process has written stays with the system.

After a loss of power the length or the mark may be there and the bytes not. Then the check fails at once or the
digest at the end, and all of it is fetched again. Stale bytes never pass: whole is what has the right digest.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from rondo.base.disk import disk_errors, sync, write_atomic
from rondo.base.errors import Conflict, ProtocolBroken, RondoError
from rondo.base.spare import open_anew
from rondo.net.tuning import MIB, SMALL
from rondo.tensors.digest import FileInfo, Hasher, file_digest
from rondo.wire import rondo_pb2 as pb

Check = Callable[[bytes], None]  # given every byte in order; raises a RondoError for content that is not wanted

_REHASH = 8 * MIB
_MARK = struct.Struct("<8s80sQ")  # what this is, the digest announced, bytes that are here
_HERE = _MARK.size - 8  # where in a mark the bytes are told: never across two pages, so never half written
_MAGIC = b"rondo-at"

_writing: WeakValueDictionary[Path, Part] = WeakValueDictionary()  # who writes which part in this process


def _part(into: Path) -> Path:
    return into.with_name(f"{into.name}.part")


def part_size(into: Path, file: pb.FileRef) -> int:
    """How many bytes of ``file``, which will be ``into``, are here already (the offset to offer)."""
    try:
        with _part(into).open("rb") as part:
            return _here(part.fileno(), file)[0]
    except FileNotFoundError:
        return 0


def _mark_at(size: int) -> int:
    return -(-size // 8) * 8


def _here(descriptor: int, file: pb.FileRef) -> tuple[int, bool]:
    """How many bytes of ``file`` are here, and whether a mark says so."""
    length = os.fstat(descriptor).st_size
    found = os.pread(descriptor, _MARK.size, max(0, length - _MARK.size))
    if not found.startswith(_MAGIC) or len(found) < _MARK.size:
        return (length if length <= file.size else 0), False
    _, digest, here = _MARK.unpack(found)
    mine = (length - _MARK.size, digest.rstrip(b"\0")) == (_mark_at(file.size), file.digest.encode())
    return (here if mine and here <= file.size else 0), mine


def is_whole(into: Path, file: pb.FileRef) -> bool:
    """Whether ``into`` has the content of ``file`` already (reads all of it)."""
    return into.exists() and file_digest(into).digest == file.digest


def is_being_received(path: Path) -> bool:
    """Whether somebody in this process or another writes the ``.part`` file at ``path``, and so holds its lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def keep(into: Path, file: pb.FileRef, *, durable: bool = False) -> FileInfo:
    """Write the content that ``file`` brings along, to survive a loss of power where ``durable``.

    Raises ``ProtocolBroken`` where it is not what it is named.
    """
    hasher = Hasher()
    hasher.update(file.content)
    if (hasher.digest(), len(file.content)) != (file.digest, file.size) or file.size > SMALL:
        raise ProtocolBroken(f"brings {len(file.content)} bytes that are not {file.digest[:80]}", where=into.name)
    write_atomic(into, file.content)
    if durable:
        sync(into)
    return FileInfo(into, file.digest, file.size)


class Part:
    """The part of ``into`` that is here: ``done`` of ``size`` bytes. One writer at a time, over all processes.

    Entering hashes (and checks) what is there. It raises ``Conflict`` where another task or process is writing, and
    ``ProtocolBroken`` where what is there is damaged. Content that ``check`` refuses is removed, as is what has too
    many bytes or the wrong digest; anything else leaves the part as it is, to be continued.
    ``durable``: the finished file survives power loss, not only the end of this process. ``takeover``: whoever is
    writing in this process is stopped instead (its connection may be dead without anybody having noticed).
    """

    def __init__(
        self, into: Path, file: pb.FileRef, *, check: Check | None = None, durable: bool = False, takeover: bool = False
    ) -> None:
        self.done = 0
        self.size = file.size
        self.name = into.name
        self._into, self._path, self._file = into, _part(into), file
        self._check, self._durable, self._takeover = check, durable, takeover
        self._hasher = Hasher()
        self._descriptor, self._closed = -1, False
        self._found, self._marks = 0, False  # bytes that were here already, and whether a mark says how many are now
        # A cancelled task leaves its thread running: whoever closes waits for what that thread is doing, and what it
        # does later finds the part closed.
        self._lock = threading.Lock()

    async def __aenter__(self) -> Part:
        loop = asyncio.get_running_loop()
        try:
            more = await loop.run_in_executor(None, self._open)
            while more:
                more = await loop.run_in_executor(None, self._rehash)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._closed:
            return
        # Shielded: a second cancellation must not call this off and leave the file locked.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    def append(self, chunk: bytes) -> None:
        """Write, hash and check ``chunk`` (blocking). Raises ``ProtocolBroken`` when that is too much, ``NoSpace``."""
        with self._lock:
            self._append(chunk)

    def _append(self, chunk: bytes) -> None:
        self._see_it_is_ours()
        if self.done + len(chunk) > self.size:
            self._path.unlink(missing_ok=True)
            raise ProtocolBroken(f"more than the {self.size} bytes announced", where=self.name)
        rest = memoryview(chunk)
        with disk_errors(self._path, "write"):
            while rest:
                rest = rest[os.pwrite(self._descriptor, rest, self.done + len(chunk) - len(rest)) :]
            self._learn(chunk)
            if self._marks:
                os.pwrite(self._descriptor, self.done.to_bytes(8, "little"), _mark_at(self.size) + _HERE)

    async def finish(self, last: bytes = b"") -> FileInfo:
        """Append the ``last`` chunk; the whole file under its own name. Leaving closes nothing more after that.

        Raises what ``append`` raises, and ``ProtocolBroken`` where the digest is not the one announced.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._finish, last)
        return FileInfo(self._into, self._file.digest, self.size)

    def _open(self) -> bool:
        """Whether there is something here to hash."""
        before = _writing.get(self._path)
        if before is not None and self._takeover:
            before._close()
        with self._lock, disk_errors(self._path, "write"):
            self._see_it_is_ours()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_anew(self._path, 0o600, self._mark)
            if not self._locked():
                raise Conflict("somebody else is receiving this file", where=self.name, hint="try again in a moment")
            self._found, self._marks = _here(self._descriptor, self._file)
            if not self._found and not self._marks and os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, 0)
            _writing[self._path] = self
            return self._found > 0

    def _mark(self, descriptor: int) -> None:
        """Make a part of a spare: nothing of this file is here."""
        at = _mark_at(self.size)
        os.pwrite(descriptor, _MARK.pack(_MAGIC, self._file.digest.encode(), 0), at)
        os.ftruncate(descriptor, at + _MARK.size)

    def _locked(self) -> bool:
        """Whether the lock is had, and of the file that has the name now (one that ends may rename or remove it)."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _see_it_is_ours(self) -> None:
        if self._closed:
            raise Conflict("another connection goes on with this file", where=self.name)

    def _rehash(self) -> bool:
        with self._lock:
            self._see_it_is_ours()
            block = os.pread(self._descriptor, min(_REHASH, self._found - self.done), self.done)
            try:
                self._learn(block)
            except RondoError as error:  # it had passed when it came
                raise ProtocolBroken(f"what was here is damaged: {error}", where=self.name) from error
            return bool(block)

    def _learn(self, block: bytes) -> None:
        self._hasher.update(block)
        self.done += len(block)
        if self._check is not None and block:
            try:
                self._check(block)
            except RondoError:
                self._path.unlink(missing_ok=True)
                raise

    def _finish(self, last: bytes) -> None:
        with self._lock, disk_errors(self._into, "write"):
            self._append(last)
            found = self._hasher.digest()
            if found != self._file.digest or self.done != self.size:
                self._path.unlink(missing_ok=True)
                raise ProtocolBroken(f"arrived as {found}, announced as {self._file.digest}", where=self.name)
            os.ftruncate(self._descriptor, self.size)
            if self._durable:  # the content before the name: who finds the name after a kill lets it count
                os.fsync(self._descriptor)
            os.replace(self._path, self._into)
            if self._durable:
                sync(self._into)
            self._let_go()

    def _close(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if not self._closed and self._descriptor >= 0:
            os.close(self._descriptor)
        self._closed = True
