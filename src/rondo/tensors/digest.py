"""A file is named by its content: ``"blake3:"`` and 64 hex digits over all its bytes (the BLAKE3 paper, 2021)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from rondo.base.errors import BadInput

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_FORM = re.compile(r"blake3:([0-9a-f]{64})")
_READ = 1 << 20


@dataclass(frozen=True)
class FileInfo:
    """Where a file is, what it contains (``digest``) and its ``size`` in bytes."""

    path: Path
    digest: str
    size: int


class Hasher:
    """The digest of bytes that pass by."""

    def __init__(self) -> None:
        self._hash = blake3()

    def update(self, data: ReadableBuffer) -> None:
        self._hash.update(data)

    def digest(self) -> str:
        """Of everything so far; more may follow."""
        return f"blake3:{self._hash.hexdigest()}"


def file_digest(path: Path) -> FileInfo:
    """Read the whole file once, 1 MiB at a time.

    Raises ``BadInput`` where it cannot be read.
    """
    hasher, size, block = Hasher(), 0, memoryview(bytearray(_READ))
    try:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(block):
                hasher.update(block[:got])
                size += got
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    return FileInfo(path, hasher.digest(), size)


def parse_digest(text: str) -> str:
    """The 64 hex digits of ``text``.

    Raises ``BadInput`` for anything that is not exactly a digest, so the result is safe in a file name.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise BadInput(f"not a digest: {text[:100]!r}", hint="a digest is 'blake3:' and 64 lower-case hex digits")
    return found.group(1)


def digest_of(name: str) -> str:
    """The digest whose 64 hex digits are ``name``, as files are named; "" where it is something else."""
    return f"blake3:{name}" if _FORM.fullmatch(f"blake3:{name}") else ""
