"""Start-up kits on disk: read once, bounded, then opened by ``rondo.pki.kit``."""

from __future__ import annotations

import stat
from pathlib import Path

from rondo.base.errors import BadInput, Refused
from rondo.pki.kit import STEM, Kit, check_expiry, open_kit
from rondo.pki.manifest import MANIFEST
from rondo.pki.revocation import REVOKED, RevocationList, nothing_revoked, read_list

STARTUP = "startup"
# Far above any file of a kit; a revocation list grows by some 300 bytes an entry.
_MAX_FILE = 16 * 1024 * 1024
_MAX_FILES = 256


def load_kit(path: Path, now: float, role: str = "") -> Kit:
    """The kit in ``path``: a workspace that contains ``startup/``, or the startup folder itself.

    Raises ``BadInput`` where something is missing or unreadable, or the kit is not that of a ``role``; ``Refused``
    where the kit was changed, its private key is open to others, or its certificate is not valid at ``now`` (seconds
    since the epoch).
    """
    kit = read_kit(path)
    if role and kit.role != role:
        raise BadInput(f"this is the kit of a {kit.role}, not of a {role}", where=str(path))
    check_key_rights(kit)
    check_expiry(kit, now)
    return kit


def read_kit(path: Path) -> Kit:
    """The kit in ``path``, verified, but whatever its dates and file rights are (for ``rondo doctor``)."""
    folder = startup_folder(path)
    return open_kit(read_files(folder), folder)


def startup_folder(path: Path) -> Path:
    """The startup folder that ``path`` is or contains, resolved. Raises ``BadInput``."""
    for folder in (path / STARTUP, path):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    if path.is_file():
        raise BadInput("this is a file, not an opened kit", where=str(path), hint=f"rondo kit open {path} -d WORKSPACE")
    what = f"there is no start-up kit here: no {STARTUP}/{MANIFEST}" if path.is_dir() else "there is no such folder"
    raise BadInput(what, where=str(path), hint="give the folder that contains startup/, made by: rondo kit open")


def read_files(folder: Path) -> dict[str, bytes]:
    """Every plain file of ``folder``, by name. Raises ``BadInput`` for one that is unreadable or far too large."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        if len(paths) > _MAX_FILES:
            raise BadInput(f"{len(paths)} files are too many for a kit", where=str(folder))
        return {path.name: _read(path) for path in paths}
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}",
            where=str(error.filename or folder),
            hint="run as the user who owns the kit",
        ) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise BadInput(f"larger than {_MAX_FILE} bytes: no file of a kit", where=str(path))
    return content


def check_key_rights(kit: Kit) -> None:
    """Raise ``Refused`` where anyone but the owner may read or write the private key."""
    path = kit.folder / f"{STEM[kit.role]}.key"
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Refused(
            f"the private key is open to others (mode {mode:04o})", where=str(path), hint=f"chmod 600 '{path}'"
        )


def revocations(kit: Kit) -> RevocationList:
    """The revocation list beside the kit, verified; the empty list number 0 where there is none.

    Raises ``BadInput`` or ``Refused`` where the file is not one that the kit's authority signed.
    """
    path = kit.folder / REVOKED
    if not path.exists():
        return nothing_revoked(kit.project)
    try:
        data = _read(path)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    return read_list(data, kit.authority, kit.project, str(path))
