"""Looking at the files of a site by name, and at nothing else: what a name may be, and how it is opened.

Whoever asks is far away, so every name is an attack until it is shown to be none. A name is relative to the site's
workspace, made of letters, digits and ``- . _ /``, without ``..`` (spec 7.2). It is opened one part after the other,
each below the folder that is open already and never through a symbolic link (openat(2), O_NOFOLLOW), so what somebody
puts there between a look and an opening leads nowhere either. Contents are shown of plain files with one of
``EXTENSIONS``: keys, certificates, ledgers and blobs have none of them. Folders in ``CLOSED`` hold session tokens and
the site's secret: they are not entered at all.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rondo.base.errors import BadInput, MachineFault, NotFound, Refused

EXTENSIONS = (".txt", ".log", ".json", ".csv", ".sh", ".config", ".py")  # Clara's
CLOSED = ("seats",)  # tokens of sessions, the site's secret
DEEPEST = 32  # folders below each other that are looked into
MOST_ENTRIES = 10_000  # of a listing
LONGEST_NAME = 1000
LONGEST_PART = 255

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO must not hold us up


@dataclass(frozen=True)
class Entry:
    """A file or folder of a listing. ``name``: below the workspace; ``mode`` as in stat(2); bytes; seconds."""

    name: str
    mode: int
    size: int
    changed: float
    read: float


def check_name(name: str) -> tuple[str, ...]:
    """The parts of a name below the workspace. Raises ``BadInput`` with the texts of spec 7.2."""
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[A-Za-z0-9\-._/]+", name):
        raise BadInput(f"unsupported file {name[:LONGEST_NAME]}", hint="letters, digits and - . _ / only")
    if name.startswith("/"):
        raise BadInput("absolute path is not allowed", hint="names are relative to the site's workspace")
    if ".." in name:
        raise BadInput(".. in path name is not allowed")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if len(parts) > DEEPEST or max(map(len, parts), default=0) > LONGEST_PART:
        raise BadInput(f"unsupported file {name}", hint=f"at most {DEEPEST} folders deep, {LONGEST_PART} letters each")
    if parts and parts[0].casefold() in CLOSED:
        raise Refused(f"{parts[0]} is not shown", hint="it holds tokens and secrets of the site")
    return parts


def check_file(name: str) -> tuple[str, ...]:
    """The same for a file whose content is asked for: it has one of ``EXTENSIONS``."""
    parts = check_name(name)
    if not parts or name.endswith("/") or os.path.splitext(parts[-1])[1] not in EXTENSIONS:
        raise BadInput(f"unsupported file {name}", hint=f"only {' '.join(EXTENSIONS)}")
    return parts


@contextmanager
def open_file(workspace: Path, name: str) -> Iterator[BinaryIO]:
    """The plain file ``name`` below ``workspace``, open for reading.

    Raises what ``check_file`` raises, ``NotFound``, ``Refused`` (a link on the way, no plain file, not readable).
    """
    with open_parts(workspace, check_file(name), name) as file:
        yield file


@contextmanager
def open_parts(workspace: Path, parts: tuple[str, ...], name: str) -> Iterator[BinaryIO]:
    """The same for a name that has been checked by other rules. ``parts``: none of them empty, ``.`` or ``..``."""
    with _folder(workspace, parts[:-1], name) as folder, _answered(name):
        descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"not a file: {name}", hint="ls shows what is in a folder")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def listing(
    workspace: Path, name: str, *, hidden: bool = False, deep: bool = False, most: int = MOST_ENTRIES
) -> list[tuple[str, list[Entry]]]:
    """Folders below ``workspace`` with their entries, beginning with ``name``; of a file only itself, under "".

    Names that begin with a dot are left out unless ``hidden``; subfolders follow where ``deep``. At most ``most``
    entries. Raises as ``open_file`` does, whatever a file's extension: names are no contents.
    """
    parts = check_name(name)
    if parts:
        with _folder(workspace, parts[:-1], name) as parent, _answered(name):
            found = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            return [("", [_entry("/".join(parts), found)])]
    left = most
    listed: list[tuple[str, list[Entry]]] = []
    folders = [parts]
    while folders and left > 0:
        here = folders.pop(0)
        try:
            entries = _entries(workspace, here, hidden, left)
        except (NotFound, Refused):
            if here == parts:
                raise
            continue  # it has gone meanwhile, or is not ours to read
        left -= len(entries)
        listed.append(("/".join(here) or ".", entries))
        if deep and len(here) < DEEPEST:
            below = [(*here, entry.name) for entry in entries if stat.S_ISDIR(entry.mode)]
            folders = [one for one in below if one[0].casefold() not in CLOSED] + folders
    return listed


def _entries(workspace: Path, parts: tuple[str, ...], hidden: bool, most: int) -> list[Entry]:
    found: list[Entry] = []
    with _folder(workspace, parts, "/".join(parts) or ".") as folder, os.scandir(folder) as entries:
        for entry in entries:
            if len(found) >= most:
                break
            if hidden or not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    found.append(_entry(entry.name, entry.stat(follow_symlinks=False)))
    return sorted(found, key=lambda entry: entry.name)


def _entry(name: str, found: os.stat_result) -> Entry:
    return Entry(name, found.st_mode, found.st_size, found.st_mtime, found.st_atime)


@contextmanager
def _folder(workspace: Path, parts: tuple[str, ...], name: str) -> Iterator[int]:
    """A descriptor of the folder at ``parts``. The workspace itself may be a link: the site chose it."""
    with _answered(name):
        descriptor = os.open(workspace, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parts:
            with _answered(name):
                below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _answered(name: str) -> Iterator[None]:
    """What the system says of a name, as our errors."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"no such file: {name}", hint="ls shows what there is") from None
    except PermissionError:
        raise Refused(f"{name} cannot be read", hint="the site's program has no right to") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(f"{name} leads through a link, or no folder", hint="links are not followed") from None
        raise MachineFault(f"{name} cannot be read: {error.strerror}") from error
