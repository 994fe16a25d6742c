"""Writing files so that a reader sees the old content or the new, never half; and what a full disk says."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rondo.base.errors import Conflict, MachineFault, NoSpace

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}  # a file where a folder should be, or the other way round
_DISK = _FULL | _CLOSED | _IN_THE_WAY


@contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn the ``OSError`` of a disk that is full, read-only or broken, or of a file in the way, into ``NoSpace``.

    Other errors pass. ``path``: what is written; an error below it names its own place.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            below = isinstance(error.filename, str) and Path(error.filename).is_relative_to(path)
            raise NoSpace(
                f"cannot {doing}: {error.strerror}",
                where=str(error.filename if below else path),
                hint="free space or fix the folder's rights",
            ) from error
        raise


def sync(path: Path) -> None:
    """Have ``path`` and its name on the disk, so that they survive a loss of power (fsync(2))."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace ``path`` by ``content`` in one step; the parent folder is made where it is missing."""
    with disk_errors(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def remove_folder(folder: Path, name: str) -> bool:
    """Remove a folder and all that is in it; whether it was there. ``name``: who removes it.

    It is renamed first: it is gone at once for whoever makes a new one, and for another who removes it just now.
    Raises ``Conflict`` for a link, ``MachineFault`` where it cannot be removed.
    """
    if folder.is_symlink():
        raise Conflict(f"{folder.name} is a link", hint="remove it, and what it leads to, by hand")
    hidden = folder.with_name(f".{folder.name}.{name}.gone")
    try:
        if hidden.exists():  # of one that was killed
            shutil.rmtree(hidden)
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MachineFault(f"{folder.name} is not gone altogether: {error}", hint="remove it again") from None
    return True
