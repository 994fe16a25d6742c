"""An unpacked package that is known to be whole: the digest is written beside it, last."""

from __future__ import annotations

import shutil
from pathlib import Path

from rondo.base.disk import disk_errors, write_atomic
from rondo.jobs.package import unpack


def unpack_once(archive: Path, digest: str, folder: Path) -> None:
    """Make ``folder`` the content of ``archive``, unless it is already.

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
        mark.unlink(missing_ok=True)
        if (folder / "models").is_dir() and not (fresh / "models").exists():
            (folder / "models").replace(fresh / "models")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
        write_atomic(mark, digest.encode())
