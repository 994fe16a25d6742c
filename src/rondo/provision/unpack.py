"""``rondo kit open``: from a zip file to a workspace. Everything is verified before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rondo.base.errors import Conflict, Refused
from rondo.net.kits import STARTUP, read_files, read_kit
from rondo.pki.kit import Kit, open_kit
from rondo.pki.manifest import MANIFEST
from rondo.pki.revocation import REVOKED, read_list
from rondo.provision.zips import unpack_kit, write_folder


def open_zip(path: Path, workspace: Path, password: str | None, *, replace: bool = False) -> Kit:
    """Unpack the kit in the zip file ``path`` into ``workspace``/startup and open it.

    With ``replace`` it may take the place of an earlier kit of the same participant; a newer revocation list
    there is kept. Raises ``BadInput`` or ``Refused`` (not a kit, wrong password, changed content), ``Conflict``
    (something is there already), ``NoSpace``.
    """
    files = unpack_kit(path, password)
    folder = workspace / STARTUP
    kit = open_kit(files, folder)
    if folder.exists():
        if not replace:
            raise Conflict(
                "there is a startup folder already",
                where=str(workspace),
                hint="give another folder with -d; or --replace to put a renewed kit in the place of the old one",
            )
        files = _replacing(kit, files, folder)
    write_folder(folder, files)
    return read_kit(workspace)


def _replacing(kit: Kit, files: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """The files to write over the kit in ``folder``, which must be one of the same participant."""
    there = read_files(folder)
    if MANIFEST not in there:
        raise Conflict("what is there is no kit", where=str(folder), hint="give another folder with -d")
    old = open_kit(there, folder)
    if (old.authority.fingerprint, old.role, old.name) != (kit.authority.fingerprint, kit.role, kit.name):
        raise Refused(
            f"the kit there is that of {old.role} {old.name!r} of project {old.project!r}, "
            f"this one is for {kit.role} {kit.name!r} of project {kit.project!r}",
            where=str(folder),
            hint="give another folder with -d",
        )
    merged = dict(files)
    lists = [
        (read_list(held[REVOKED], kit.authority, kit.project, REVOKED).number, held[REVOKED])
        for held in (there, files)
        if REVOKED in held
    ]
    if lists:
        merged[REVOKED] = max(lists)[1]
    return merged
