"""An unpacked package that is known to be whole: the digest is written beside it, last."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from glob import escape
from pathlib import Path

from rondo.base.disk import disk_errors, write_atomic
from rondo.jobs.package import unpack


def is_unpacked(digest: str, folder: Path) -> bool:
    """Whether ``folder`` is the content of the package with this digest, whole."""
    mark = _mark(folder)
    return folder.is_dir() and mark.is_file() and mark.read_text() == digest


def unpack_once(archive: Path, digest: str, folder: Path, check: Callable[[Path], None] | None = None) -> None:
    """Make ``folder`` the content of ``archive``, unless it is already.

    Another package's content is replaced; what a run added to the folder (``models/``) never leaves it, unless the
    package brings its own. ``check`` looks at the fresh content before that. What was there stays as it was where
    ``check`` raises, or the package may not be unpacked (``BadInput``). Killed at any moment, it is done again.
    """
    if is_unpacked(digest, folder):
        return
    fresh = folder.with_name(f".{folder.name}.new")
    with disk_errors(folder, "unpack the package"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in (fresh, *folder.parent.glob(f".{escape(fresh.name)}.*.part")):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            unpack(archive, fresh)
            if check is not None:
                check(fresh)
            take_place(fresh, digest, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def unpack_beside(archive: Path, folder: Path, check: Callable[[Path], None]) -> Path:
    """The content of ``archive``, once ``check`` has looked at it: under the name of ``folder``, in a place of its own.

    The place is hidden, beside ``folder``, and the caller removes it. Until ``take_place`` nothing has changed, so
    any number of packages may be looked at at once. Raises what ``check`` does, and ``unpack``; then nothing is left.
    """
    with disk_errors(folder, "unpack the package"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"..{folder.name}.", suffix=".new", dir=folder.parent))
        try:
            unpack(archive, place / folder.name)
            check(place / folder.name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    return place / folder.name


def take_place(fresh: Path, digest: str, folder: Path) -> None:
    """Make ``folder`` the content of ``fresh``, which is that of the package with this digest and on the same disk."""
    mark = _mark(folder)
    with disk_errors(folder, "unpack the package"):
        mark.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        _replace(folder, fresh)
        fresh.rmdir()
        write_atomic(mark, digest.encode())


def _mark(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.digest")


def _replace(folder: Path, fresh: Path) -> None:
    """Move the content of ``fresh`` in; until the mark is written again, nobody takes the folder for whole."""
    kept = set() if (fresh / "models").exists() else {"models"}
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in kept:
                shutil.rmtree(entry)
        else:
            entry.unlink()
    for entry in fresh.iterdir():
        entry.replace(folder / entry.name)
