"""Files that an admin may fetch: what lies in the staging area ``transfer`` and in the folders ``run_N``, nothing else.

Whatever is typed, keys, ledger, blobs and sessions are in none of these. How names are opened, and that no link is
followed, is ``rondo.base.looking``'s; here any plain file will do, whatever it is called.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO

from rondo.base.errors import BadInput, NotFound
from rondo.base.looking import listing, open_parts
from rondo.commands.desk import FileLine
from rondo.net.tuning import CHUNK
from rondo.tensors.digest import Hasher
from rondo.wire import rondo_pb2 as pb

STAGING = "transfer"


def files_at(workspace: Path, path: str, digests: bool) -> list[FileLine]:
    """The file at ``path``, or all files below it; ``path`` is below ``transfer`` unless it begins with ``run_N``.

    Raises ``BadInput``, ``NotFound``, ``Refused``. Hidden files and links are left out.
    """
    name = place_of(path)
    found: list[FileLine] = []
    try:
        for folder, entries in listing(workspace, name, deep=True):
            for entry in entries:
                if stat.S_ISREG(entry.mode):
                    where = f"{folder}/{entry.name}" if folder else entry.name
                    digest = _digest(workspace, where, entry.size) if digests else ""
                    found.append(FileLine(where, entry.size, digest))
    except NotFound:
        if name == STAGING:  # nothing has been uploaded yet
            return []
        raise NotFound(f"no such file or folder: {path}", hint="list_files shows what there is") from None
    return found


def place_of(path: str) -> str:
    """Where below the workspace ``path`` is. Raises ``BadInput`` for what cannot be there."""
    if path.startswith("/"):
        raise BadInput("absolute path is not allowed", hint="names are relative to the folder transfer")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadInput(".. in path name is not allowed")
    if not parts or (parts[0] != STAGING and not re.fullmatch(r"run_[0-9]{1,10}", parts[0])):
        parts.insert(0, STAGING)
    return "/".join(parts)


async def chunks_at(workspace: Path, file: pb.FileRef, offset: int) -> AsyncGenerator[bytes, None]:
    """The first ``file.size`` bytes at ``file.place``, from ``offset`` on: a log may have grown since it was listed.

    Raises ``BadInput``, ``NotFound``, ``Refused``.
    """
    if offset > file.size:
        raise BadInput(f"byte {offset} of a file of {file.size} bytes was asked for", where=file.place[:200])
    with ExitStack() as stack:
        opened = await asyncio.to_thread(lambda: stack.enter_context(_opened(workspace, file.place)))
        while offset < file.size:
            chunk = await asyncio.to_thread(os.pread, opened.fileno(), min(CHUNK, file.size - offset), offset)
            if not chunk:
                return  # it has become shorter: what arrives is not what was announced
            offset += len(chunk)
            yield chunk


def _opened(workspace: Path, path: str) -> AbstractContextManager[BinaryIO]:
    place = place_of(path)
    if "\0" in place:
        raise BadInput("unsupported file")
    return open_parts(workspace, tuple(place.split("/")), path[:200])


def _digest(workspace: Path, path: str, size: int) -> str:
    hasher = Hasher()
    with _opened(workspace, path) as file:
        while size > 0 and (block := file.read(min(CHUNK, size))):
            hasher.update(block)
            size -= len(block)
    return hasher.digest()
