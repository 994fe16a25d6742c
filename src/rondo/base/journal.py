"""The file of an audit log: ``audit.log`` in the root of a workspace, for its owner's eyes (mode 0600).

Several processes may write it: each holds a lock for the moment in which it reads where the chain stands and adds to
it. A line that a loss of power or a full disk cut short is taken off before the next one is written. When the file has
grown to ``MOST`` bytes it becomes ``audit.log.1``, the next one ``audit.log.2``, and so on: the chain goes on in the
new ``audit.log``, and nothing is ever deleted.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rondo.base.chain import LONGEST_LINE, START, Chain, Entry, Head, Link, linked, read_line
from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput

LOG = "audit.log"
MOST = 32 << 20  # bytes of audit.log before the next one is begun
_TAIL = 4 * LONGEST_LINE  # bytes in which the last entry is looked for


@dataclass(frozen=True)
class Place:
    """A line of a log: ``number`` counts the lines of the file from 1; ``raw`` is without its newline."""

    path: Path
    number: int
    raw: bytes
    whole: bool  # it ends with a newline

    def __str__(self) -> str:
        return f"{self.path.name}:{self.number}"


@dataclass(frozen=True)
class Fault:
    """Something wrong in a log. ``event``: of the entry there, "" where the line is none."""

    where: str
    event: str
    what: str


class Journal:
    """An audit log that is added to. ``torn``: bytes of a line cut short that were taken off when it was opened.

    Raises ``NoSpace`` where the disk is full or the file cannot be written; nothing is half written then.
    """

    def __init__(self, workspace: Path, most: int = MOST) -> None:
        self._path = workspace / LOG
        self._most = most
        self._descriptor = -1
        self._size = -1  # of the file when this process last wrote it: then it knows its end
        self._head = START
        self.torn = 0
        with self._held():
            pass

    @property
    def head(self) -> Head:
        """Where the chain stands (as far as this process has seen)."""
        return self._head

    def add(self, told: Sequence[Entry]) -> list[Link]:
        """New entries at the end of the chain."""
        links: list[Link] = []

        def follow(head: Head) -> list[Link]:
            for one in told:
                links.append(linked(links[-1].head if links else head, one))
            return links

        self._write(follow)
        return links

    def copy(self, links: Sequence[Link]) -> None:
        """Entries whose place in the chain is fixed already."""
        self._write(lambda _: links)

    def mark(self) -> tuple[Head, Callable[[], None]]:
        """Where the chain stands, and what has that on the disk, so that it survives a loss of power (fsync(2)).

        Call it where it may take its time, also in another thread while more is added here.
        """
        with self._held() as descriptor:
            head, copy = self._head, os.dup(descriptor)

        def sync() -> None:
            try:
                with disk_errors(self._path, "write the audit log"):
                    os.fsync(copy)
            finally:
                os.close(copy)

        return head, sync

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, links_after: Callable[[Head], Sequence[Link]]) -> None:
        with self._held() as descriptor:
            links = links_after(self._head)
            data = "".join(f"{link.line}\n" for link in links).encode()
            try:
                with disk_errors(self._path, "write the audit log"):
                    written = os.write(descriptor, data)
                    while written < len(data):  # a full disk says so at the next try
                        written += os.write(descriptor, data[written:])
            except BaseException:
                os.ftruncate(descriptor, self._size)
                raise
            self._size += len(data)
            self._head = links[-1].head if links else self._head

    @contextmanager
    def _held(self) -> Iterator[int]:
        """The file, locked, with ``_size`` and ``_head`` as they are now."""
        descriptor = self._locked()
        try:
            if self._size >= self._most:
                descriptor = self._next()
            yield descriptor
        finally:
            if self._descriptor >= 0:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _locked(self) -> int:
        """The descriptor of what is audit.log now: another process may have begun a new one, when this was full."""
        while True:
            descriptor = self._descriptor if self._descriptor >= 0 else self._open()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if (found.st_size < self._most and found.st_nlink) or _is_named(descriptor, self._path):
                if found.st_size != self._size:
                    self._size = self._end(descriptor, found.st_size)
                return descriptor
            self.close()

    def _open(self) -> int:
        with disk_errors(self._path, "write the audit log"):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor, self._size = os.open(self._path, flags, 0o600), -1
            os.fchmod(self._descriptor, 0o600)
        return self._descriptor

    def _end(self, descriptor: int, size: int) -> int:
        """Find where the chain stands, without what was cut short; returns the size of the rest."""
        while True:
            begin = max(0, size - _TAIL)
            tail = os.pread(descriptor, size - begin, begin)
            torn = len(tail) - (tail.rfind(b"\n") + 1)
            if not torn:
                break
            self.torn, size = self.torn + torn, size - torn
            os.ftruncate(descriptor, size)
        self._head = _last(tail) or self._last_of_older()
        return size

    def _last_of_older(self) -> Head:
        for path in reversed(files(self._path.parent)):
            if path != self._path:
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - _TAIL))
                    found = _last(file.read())
                if found:
                    return found
        return START

    def _next(self) -> int:
        """Begin a new audit.log; the full one gets the next number."""
        older = [_number(path) for path in files(self._path.parent)]
        with disk_errors(self._path, "write the audit log"):
            os.fsync(self._descriptor)
            os.rename(self._path, self._path.with_name(f"{LOG}.{max(older) + 1}"))
        self.close()  # whoever waits for the lock of this one will see that it is not audit.log any more
        return self._locked()


def files(workspace: Path) -> list[Path]:
    """The files of the log, oldest first."""
    found = [path for path in workspace.glob(f"{LOG}*") if path.name == LOG or path.suffix[1:].isdecimal()]
    return sorted(found, key=lambda path: (path.name == LOG, _number(path)))


def lines(workspace: Path) -> Iterator[Place]:
    """Every line of the log, oldest first. Raises ``BadInput`` for a file that cannot be read."""
    for path in files(workspace):
        try:
            with path.open("rb") as file:
                for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                    yield Place(path, number, raw.removesuffix(b"\n"), raw.endswith(b"\n"))
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error


def examine(workspace: Path, seen: Callable[[Link, Place], str] = lambda link, place: "") -> tuple[Head, list[Fault]]:
    """Where the chain ends, and what is wrong with it. ``seen`` is shown every entry and may find fault as well."""
    chain, faults = Chain(), []
    for place in lines(workspace):
        link, wrong = chain.take(place.raw)
        if not place.whole:
            wrong = "the line was cut short, or is longer than any entry"
        elif link is not None:
            wrong = wrong or seen(link, place)
        if wrong:
            faults.append(Fault(str(place), link.entry.event if link else "", wrong))
    return chain.head, faults


def _last(tail: bytes) -> Head | None:
    """Of the last line that is an entry."""
    for raw in reversed(tail.split(b"\n")[:-1]):
        try:
            return read_line(raw).head
        except BadInput:
            continue
    return None


def _number(path: Path) -> int:
    return 0 if path.name == LOG else int(path.suffix[1:])


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        named, ours = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)
