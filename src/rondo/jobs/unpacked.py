"""An unpacked package that is known to be whole: the digest is written beside it, last."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from rondo.base.disk import disk_errors, write_atomic
from rondo.jobs.package import unpack


def unpack_once(archive: Path, digest: str, folder: Path, check: Callable[[Path], None] | None = None) -> None:
    """Make ``folder`` the content of ``archive``, unless it is already.

    ``check`` looks at the fresh content before it takes the place of the old; what it raises leaves the old there.

    Another package's content is replaced; what a run added to the folder (``models/``) is kept. Raises
    ``BadInput`` for a package that may not be unpacked, and then leaves what was there.
    """
    mark = folder.with_name(f".{folder.name}.digest")
    if folder.is_dir() and mark.is_file() and mark.read_text() == digest:
        return
    fresh = folder.with_name(f".{folder.name}.new")
    with disk_errors(folder, "unpack the package"):
        shutil.rmtree(fresh, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        unpack(archive, fresh)
        _checked(fresh, check)
        mark.unlink(missing_ok=True)
        if (folder / "models").is_dir() and not (fresh / "models").exists():
            (folder / "models").replace(fresh / "models")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
        write_atomic(mark, digest.encode())


def _checked(fresh: Path, check: Callable[[Path], None] | None) -> None:
    try:
        if check is not None:
            check(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
