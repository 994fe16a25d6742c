"""Files from the server to the console's transfer folder, one after the other, as one transfer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rondo.base.errors import ProtocolBroken
from rondo.console.here import Here


async def listed(here: Here, path: str) -> list[dict[str, Any]]:
    """Path, size and digest of each file at ``path`` or below it. Raises ``NotFound``."""
    return list((await here.session.facts("list_files", "-d", "--", path))["files"])


async def fetch(here: Here, files: Sequence[dict[str, Any]]) -> list[Path]:
    """Where each file is now: what is there already in the same form is left as it is, other content is replaced."""
    size, before = sum(int(file["size"]) for file in files), 0
    places = [place(here.transfer_folder, str(file["path"])) for file in files]
    for file, into in zip(files, places, strict=True):
        part = here.part(before, size)
        await here.session.fetch(file["path"], int(file["size"]), str(file["digest"]), into, part)
        before += int(file["size"])
    return places


def place(folder: Path, path: str) -> Path:
    """Where the server's file at ``path`` belongs here. Raises ``ProtocolBroken`` where it is not below ``folder``."""
    parts = path.removeprefix("transfer/").split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ProtocolBroken(f"a file that may not be written here: {path[:200]!r}")
    return folder.joinpath(*parts)
