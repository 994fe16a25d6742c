"""``python -m tests.real.synced LOG server start KIT``: Rondo itself, which writes down in LOG what it has synced.

A line for each fsync(2): the inode and how long it was. Whether bytes have reached the disk cannot be asked otherwise:
where a file was written over another one they have their place there in any case.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

_fsync = os.fsync


def telling(log: Path) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        _fsync(descriptor)
        found = os.fstat(descriptor)
        with log.open("a") as lines:
            lines.write(f"{found.st_ino} {found.st_size}\n")

    return fsync


def synced(log: Path, path: Path, folder: Path) -> bool:
    """Whether the content of ``path`` was synced at its full length, and then the ``folder`` in which it had its name
    when it began to count."""
    lines = log.read_text().splitlines() if log.exists() else []
    found = path.stat()
    whole, name = f"{found.st_ino} {found.st_size}", f"{folder.stat().st_ino} "
    return whole in lines and any(line.startswith(name) for line in lines[lines.index(whole) :])


if __name__ == "__main__":
    os.fsync = telling(Path(sys.argv[1]))  # type: ignore[assignment]
    sys.argv[1:] = sys.argv[2:]
    from rondo.cli.main import main

    main()
