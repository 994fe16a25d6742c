"""A seat: the place of one client process in a workspace, kept across restarts by a file, held by a lock.

Several processes may run from one kit (spec C6): each takes the first seat that no living process holds. A process
that was killed leaves its seat, with the token in it, to the one that is started next, which so is the same client.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rondo.base.disk import disk_errors, write_atomic
from rondo.base.errors import Conflict
from rondo.base.ids import new_token

MOST_SEATS = 1000


class Taken(msgspec.Struct, frozen=True):
    """What a seat remembers: the instance name that the server gave, and the session's token."""

    instance: str
    token: str


@dataclass
class Seat:
    """Open while the process lives. ``taken`` is None for a seat that nobody has sat in."""

    number: int
    taken: Taken | None
    _descriptor: int
    _path: Path

    def remember(self, instance: str, token: str) -> None:
        """Write it down before the token is used. Raises ``NoSpace``.

        One write of one line, so that no kill comes between: what a longer line left behind it is not read.
        """
        self.taken = Taken(instance, token)
        with disk_errors(self._path, "write down the session"):
            os.pwrite(self._descriptor, msgspec.json.encode(self.taken) + b"\n", 0)

    def forget(self) -> None:
        """The client has quit: whoever sits here next is a new one."""
        self.taken = None
        os.ftruncate(self._descriptor, 0)


@contextmanager
def take_seat(workspace: Path) -> Iterator[Seat]:
    """The first free seat of ``workspace``, held until the block ends or the process dies."""
    folder = workspace / "seats"
    with disk_errors(folder, "write in the workspace"):
        folder.mkdir(mode=0o700, exist_ok=True)
        number, descriptor = _first_free(folder)
    try:
        yield Seat(number, _read(descriptor), descriptor, folder / f"{number}.json")
    finally:
        os.close(descriptor)


def _first_free(folder: Path) -> tuple[int, int]:
    for number in range(MOST_SEATS):
        descriptor = os.open(folder / f"{number}.json", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return number, descriptor
    raise Conflict(f"{MOST_SEATS} clients run from one kit", where=str(folder), hint="stop some of them first")


def _read(descriptor: int) -> Taken | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0).partition(b"\n")[0], type=Taken)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None  # a fresh seat, or one whose writing was cut short: log in anew


def sitting(workspace: Path) -> set[str]:
    """The instance names of all seats: of clients that live, or that somebody may come back as."""
    taken = set()
    for path in (workspace / "seats").glob("*.json"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _read(descriptor)
        finally:
            os.close(descriptor)
        taken |= {found.instance} if found else set()
    return taken


def site_secret(workspace: Path) -> str:
    """A word that only this site knows, made once: what its filters' noise is drawn from.

    Were it drawn from the run's seed alone, the server could draw it too, and take it off again.
    """
    path = workspace / "seats" / "secret"
    if not path.exists():
        mine = path.with_name(f"secret.{os.getpid()}")
        write_atomic(mine, new_token().encode(), mode=0o600)
        with suppress(FileExistsError):
            os.link(mine, path)  # whole or not at all, and the first of several processes makes it for all
        mine.unlink()
    return path.read_text()
