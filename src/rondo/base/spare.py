"""Space used again: a file that is not needed any more becomes the next one, overwritten in place.

Theory of operation. A new file costs more than its bytes: every page and every block of it has to be found first,
which takes as long as moving it through TLS. So whoever needs a file no longer gives it up instead of removing it:
it becomes the spare of its folder (one at most, so that what is kept is bounded), and the next file that is made in
this folder is made of it.

What a spare contains is no part of the new file: whoever writes it says where it ends (``os.ftruncate``), and where
others must see until then how much of it is new, marks it before it gets its name. Nobody else may see it change: a
spare is taken only where it has no second name, and where no other descriptor and no mapping of it is left in any
process. A system that cannot tell (the question is Linux's ``F_SETLEASE``, fcntl(2)) makes a new file, as does
anything else that is in the way.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

SPARE = ".spare"


def give_up(path: Path, folder: Path | None = None) -> None:
    """Nobody needs ``path`` any more: make it the spare of ``folder`` (its own, by default) in place of another.

    A file that is not there, or that cannot be moved, is fine: it is gone in any case.
    """
    spare = (folder or path.parent) / SPARE
    try:
        # Renaming over a second name of the same file would do nothing.
        spare.unlink(missing_ok=True)
        os.rename(path, spare)
    except OSError:
        path.unlink(missing_ok=True)


def drop_spares(folder: Path) -> None:
    """Free what spares take in ``folder`` and below it."""
    for spare in folder.rglob(SPARE):
        spare.unlink(missing_ok=True)


def open_anew(path: Path, mode: int = 0o666, mark: Callable[[int], None] = lambda _: None) -> int:
    """A descriptor, for reading and writing, of ``path``. Where there is no such file it is made, of the spare if any.

    ``mode``: of a file that is made new; of a spare also where it is not the default. ``mark`` is given the
    descriptor of a spare before it is ``path``. Raises ``OSError``.
    """
    taken = -1 if path.exists() else _take(path, mode, mark)
    return taken if taken >= 0 else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)


def _take(path: Path, mode: int, mark: Callable[[int], None]) -> int:
    """The spare under the name ``path``, or -1 where there is none that can be had."""
    spare = path.with_name(SPARE)
    try:
        descriptor = os.open(spare, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return -1
    try:
        if _is_ours_alone(descriptor):
            if mode != 0o666:
                os.fchmod(descriptor, mode)
            mark(descriptor)
            # By its descriptor: under the spare's name there may be another by now. A link never replaces a file.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
            spare.unlink(missing_ok=True)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return -1


def _is_ours_alone(descriptor: int) -> bool:
    """Whether the file has one name at most, and this is the only descriptor or mapping of it on this machine."""
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is None or os.fstat(descriptor).st_nlink > 1:
        return False
    # Whoever opens it in between makes the system tell us: by a signal that nobody minds.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(descriptor, lease, fcntl.F_WRLCK)
    fcntl.fcntl(descriptor, lease, fcntl.F_UNLCK)
    return True
