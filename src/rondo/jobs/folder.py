"""What may be in a job's folder, and walking it without following anything out of it."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rondo.base.errors import BadInput

MOST_FILES = 10_000
MOST_NAME_BYTES = 1024
MOST_PART_BYTES = 255

_CACHES = ("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv")
_LITTER = (".git", ".hg", ".svn", ".idea", ".vscode", ".DS_Store", "Thumbs.db", "desktop.ini")
_JUNK = frozenset(_CACHES + _LITTER)
_JUNK_PATTERN = re.compile(r".*~|\.#.*|#.*#|.*\.sw[op]|.*\.py[co]", re.DOTALL)
_BAD_KINDS = frozenset(("Cc", "Cs", "Zl", "Zp"))
_TURNERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they reorder what a terminal shows


@dataclass(frozen=True)
class Member:
    """A regular file of a job: ``name`` relative to the root with "/" between folders, ``size`` in bytes."""

    name: str
    path: Path
    size: int


def members(folder: Path, *, junk: bool = False, most: int = MOST_FILES) -> list[Member]:
    """Every file below ``folder``, sorted by name; caches, version control and editor litter only with ``junk``.

    Raises ``BadInput`` naming the offender: a link, a device, pipe or socket, a name nobody should have, two names
    that differ only in case, more than ``most`` files (or folders).
    """
    found: list[Member] = []
    waiting, folders = [("", folder)], 1
    while waiting:
        prefix, path = waiting.pop()
        for entry, status in _entries(path):
            if not junk and is_junk(entry.name):
                continue
            name = check_name(prefix + entry.name)
            if stat.S_ISDIR(status.st_mode):
                waiting.append((f"{name}/", Path(entry.path)))
                folders += 1
            elif stat.S_ISREG(status.st_mode):
                found.append(Member(name, Path(entry.path), status.st_size))
            else:
                what = f"{name!r} is {kind_of(status.st_mode)}"
                raise BadInput(what, where=str(folder), hint="a job holds plain files and folders")
            if len(found) > most or folders > most:
                hint = "a job carries code and settings, not the data"
                raise BadInput(f"more than {most} files, {name!r} is one too many", where=str(folder), hint=hint)
    found.sort(key=lambda member: member.name)
    no_clashes(member.name for member in found)
    return found


def is_junk(name: str) -> bool:
    """Whether a file or folder of this (last) name is a cache, version control or what an editor left."""
    return name in _JUNK or _JUNK_PATTERN.fullmatch(name) is not None


def check_name(name: str) -> str:
    """``name`` unchanged where it is a sound relative path on every system.

    Raises ``BadInput`` naming it: absolute, "..", backslash, drive letter, control characters, too long.
    """
    parts = name.split("/")
    for wrong, what in (
        (not name or name.startswith("/"), "is absolute or empty"),
        ("\\" in name, "has a backslash"),
        (name[1:2] == ":" and name[:1].isalpha(), "begins with a drive letter"),
        (any(_unprintable(char) for char in name), "has control characters or is not UTF-8"),
        (any(part in ("", ".", "..") for part in parts), 'has an empty, "." or ".." part'),
    ):
        if wrong:
            raise BadInput(f"the name {name[:200]!r} {what}", hint="rename the file")
    longest = max(len(part.encode()) for part in parts)
    if len(name.encode()) > MOST_NAME_BYTES or longest > MOST_PART_BYTES:
        raise BadInput(f"the name {name[:60]!r}... is too long", hint="rename the file")
    return name


def no_clashes(names: Iterable[str]) -> None:
    """Raises ``BadInput`` where two files would be one on a system that ignores case, or a file is also a folder."""
    files: dict[str, str] = {}
    for name in names:
        folded = _folded(name)
        if folded in files:
            raise BadInput(f"{files[folded]!r} and {name!r} are the same name", hint="rename one of them")
        files[folded] = name
    for folded, name in files.items():
        for cut, char in enumerate(folded):
            if char == "/" and folded[:cut] in files:
                raise BadInput(f"{files[folded[:cut]]!r} is a file and the folder of {name!r}")


def kind_of(mode: int) -> str:
    """What a file mode says, in words."""
    kinds = (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISDIR, "a folder"),
    )
    return next((words for test, words in kinds if test(mode)), "a device" if stat.S_IFMT(mode) else "a file")


@contextmanager
def open_member(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened without following a link and without waiting for a pipe.

    Raises ``BadInput`` where it cannot be read or is something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = "is a link, not a file" if error.errno == errno.ELOOP else f"cannot read: {error.strerror}"
        raise BadInput(what, where=str(path)) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise BadInput(f"is {kind_of(mode)}, not a file", where=str(path))
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_bounded(path: Path, most: int) -> bytes:
    """The whole of a small file. Raises ``BadInput`` where it is larger than ``most`` bytes or unreadable."""
    with open_member(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise BadInput(f"larger than {most} bytes", where=str(path))
    return content


def _entries(path: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    try:
        with os.scandir(path) as listing:
            for entry in listing:
                yield entry, entry.stat(follow_symlinks=False)
    except OSError as error:
        raise BadInput(f"cannot list: {error.strerror}", where=str(path)) from None


def _unprintable(char: str) -> bool:
    return unicodedata.category(char) in _BAD_KINDS or char in _TURNERS


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
