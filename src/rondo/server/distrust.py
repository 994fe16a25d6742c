"""After the machine itself has stopped: a file is what its name says, or it goes.

A server that was killed finds all that it wrote. One whose machine lost its power may find a name without its content,
and where a file was made of another one (``rondo.base.spare``), the other one's: sound to look at, and wrong. So when
the machine has been started since this was last asked, the files that were written shortly before are read once, and
those whose digest is not their name are removed. What misses them then says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rondo.base.disk import write_atomic
from rondo.server.store import Store
from rondo.tensors.digest import digest_of, file_digest

log = logging.getLogger("rondo.server")

BOOT = Path("/proc/sys/kernel/random/boot_id")  # proc(5): another one after every start of the machine
MARK = "machine.boot"  # in the workspace: the one that this was last asked in
SHORTLY = 3600.0  # seconds; a system writes everything to its disk within a minute or so


def distrust(store: Store, boot: Path = BOOT) -> None:
    """Remove what a loss of power has damaged. Reads nothing where the machine has not been started meanwhile."""
    mark = store.folder / MARK
    now, before = (path.read_text() if path.exists() else "" for path in (boot, mark))
    if now and now == before:
        return
    files = [(path.stat().st_mtime, path, digest, remove) for path, digest, remove in _named(store)]
    newest = max((written for written, *_ in files), default=0.0)
    for written, path, digest, remove in files:
        if written > newest - SHORTLY and file_digest(path).digest != digest:
            log.error("%s is not what it was written as: this machine lost its power; it is removed", path)
            remove()
    write_atomic(mark, now.encode())


def _named(store: Store) -> Iterator[tuple[Path, str, Callable[[], object]]]:
    """Every file whose name is its digest, and how it is removed."""
    for path in store.spool.glob("*/*"):
        if digest := digest_of(path.name):
            yield path, digest, path.unlink
    for digest, _ in store.blobs.held():
        yield store.blobs.local(digest), digest, partial(store.blobs.delete, digest)
