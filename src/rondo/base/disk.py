"""Writing files so that a reader sees the old content or the new, never half; and what a full disk says."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rondo.base.errors import NoSpace

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


@contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn the ``OSError`` of a full or read-only disk into ``NoSpace``; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            raise NoSpace(
                f"cannot {doing}: {error.strerror}",
                where=str(path),
                hint="free space or fix the folder's rights",
            ) from error
        raise


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
