"""A job travels as one zip file: packed the same everywhere, unpacked with suspicion.

Files are stored, not compressed: what is large in a job (weights) does not compress, and so the digest depends on
the content alone, not on whose zlib made it.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput, Conflict, MachineFault
from rondo.jobs.central import check_directory
from rondo.jobs.folder import MOST_FILES, Member, check_name, kind_of, members, no_clashes, open_member
from rondo.tensors.digest import FileInfo, file_digest

_EPOCH = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class Limits:
    """What a package may hold: number of ``files``, ``total`` bytes unpacked, bytes of the table of contents.

    An entry of more than ``ratio_from`` bytes may not be more than ``ratio`` times its packed size.
    """

    files: int = MOST_FILES
    total: int = 16 << 30
    directory: int = 16 << 20
    ratio: int = 200
    ratio_from: int = 8 << 20


STANDARD = Limits()


def pack(folder: Path, out: Path, limits: Limits = STANDARD) -> FileInfo:
    """The files of ``folder`` as the zip ``out``; equal content gives an equal digest. Memory: one block.

    Caches, version control and editor litter stay out (``rondo.jobs.folder``). Raises ``BadInput`` naming the
    offender (a link, a device, a strange name, too much), ``NoSpace`` or ``MachineFault`` where ``out`` cannot be
    written.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise BadInput("the archive would lie inside the folder it is made of", where=str(out))
    files = members(folder, most=limits.files)
    _refuse_too_much(folder, files, limits.total)
    with _disk(out, "pack"):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
                for member in files:
                    _store(archive, member)
            os.replace(part, out)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return file_digest(out)


def unpack(archive: Path, folder: Path, limits: Limits = STANDARD) -> None:
    """Unpack into a new folder: all of it or nothing. Memory: the table of contents and one block.

    Works in a hidden folder beside (``.NAME.*.part``) that becomes ``folder`` in one step; only a killed process
    leaves it. Raises ``BadInput`` naming the entry that is wrong, ``Conflict`` where the folder is there already,
    ``NoSpace`` or ``MachineFault`` where the disk is at fault.
    """
    if os.path.lexists(folder):
        raise Conflict("is there already", where=str(folder), hint="remove it first")
    with open_member(archive) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            check_directory(file, size, most_entries=limits.files, most_bytes=limits.directory)
            with zipfile.ZipFile(file) as opened:
                _check_entries(opened.infolist(), opened.start_dir, limits)
                with _disk(folder, "unpack"):
                    _extract_beside(opened, folder, limits.total)
        except BadInput as error:
            raise BadInput(error.what, where=error.where or str(archive), hint=error.hint) from None
        except _BROKEN as error:
            raise BadInput(f"broken archive: {error}", where=str(archive), hint="pack the folder again") from None


def _refuse_too_much(folder: Path, files: Sequence[Member], most: int) -> None:
    total = sum(member.size for member in files)
    if total > most:
        largest = max(files, key=lambda member: member.size)
        raise BadInput(
            f"{total} bytes in all, more than {most}; the largest is {largest.name!r} with {largest.size}",
            where=str(folder),
            hint="a job carries code and settings, not the data",
        )


def _store(archive: zipfile.ZipFile, member: Member) -> None:
    entry = zipfile.ZipInfo(member.name, _EPOCH)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = member.size
    with open_member(member.path) as source, archive.open(entry, "w") as target:
        left = member.size
        while block := source.read(min(_BLOCK, left)):
            target.write(block)
            left -= len(block)
        if left or source.read(1):
            raise BadInput("changed while it was packed", where=str(member.path), hint="try again")


def _check_entries(entries: Sequence[zipfile.ZipInfo], end: int, limits: Limits) -> None:
    """Everything that the table of contents can tell. ``end``: where the table starts, so where data ends."""
    for entry in entries:
        try:
            _check_entry(entry, limits)
        except BadInput as error:
            raise BadInput(f"entry {entry.orig_filename[:200]!r}: {error.what}", hint=error.hint) from None
    total = sum(entry.file_size for entry in entries)
    if total > limits.total:
        raise BadInput(f"{total} bytes unpacked, more than {limits.total}")
    no_clashes(entry.filename for entry in entries if not entry.is_dir())
    _refuse_overlap(entries, end)


def _check_entry(entry: zipfile.ZipInfo, limits: Limits) -> None:
    name = entry.orig_filename
    folder = name.endswith("/")
    check_name(name[:-1] if folder else name)
    mode = entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    for wrong, what in (
        (entry.filename != name, "has two names"),
        ("__pycache__" in name.split("/"), "is compiled Python, which may hide what runs"),
        (kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG), f"is {kind_of(mode)}"),
        (entry.flag_bits & _ENCRYPTED, "is encrypted"),
        (entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), "is compressed in an unknown way"),
        (folder and entry.file_size, "is a folder with content"),
        (
            entry.file_size > max(limits.ratio_from, limits.ratio * entry.compress_size),
            f"grows from {entry.compress_size} to {entry.file_size} bytes, as only a zip bomb does",
        ),
    ):
        if wrong:
            raise BadInput(what)


def _refuse_overlap(entries: Sequence[zipfile.ZipInfo], end: int) -> None:
    """Entries that share their bytes make a bomb of modest ratio."""
    before = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < before:
            raise BadInput(f"entry {entry.filename!r} overlaps another")
        before = entry.header_offset + _LOCAL_HEADER + entry.compress_size
    if before > end:
        raise BadInput("an entry reaches into the table of contents")


def _extract_beside(archive: zipfile.ZipFile, folder: Path, most: int) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        for entry in archive.infolist():
            target = part / entry.filename
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source:
                most -= _write_new(target, source, entry, most)
        part.chmod(0o755)
        _rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_new(target: Path, source: IO[bytes], entry: zipfile.ZipInfo, most: int) -> int:
    """Bytes written, counted as they come: what an entry says of its size is not believed."""
    written = 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > min(entry.file_size, most):
                raise BadInput(f"entry {entry.filename!r} is larger than it says")
            file.write(block)
    if written != entry.file_size:
        raise BadInput(f"entry {entry.filename!r} is cut short")
    return written


def _rename(part: Path, folder: Path) -> None:
    try:
        os.rename(part, folder)
    except OSError as error:
        if os.path.lexists(folder):
            raise Conflict("is there already", where=str(folder), hint="remove it first") from None
        raise error


@contextmanager
def _disk(path: Path, doing: str) -> Iterator[None]:
    """Errors of the disk as ours: ``NoSpace`` for one that is full or read-only, else ``MachineFault``."""
    try:
        with disk_errors(path, doing):
            yield
    except OSError as error:
        raise MachineFault(f"cannot {doing}: {error.strerror}", where=str(path)) from error
