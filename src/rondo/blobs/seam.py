"""What a blob store must do. Content is immutable and named by its digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class BlobStore(Protocol):
    """Every method raises ``BadInput`` for what is no digest, and ``NoSpace`` where the store cannot be written."""

    def adopt(self, path: Path, digest: str) -> None:
        """Take over the finished file at ``path`` (it is gone afterwards). Adopting a digest again is harmless.

        Raises ``NotFound`` where there is neither the file nor its content in the store.
        """

    def local(self, digest: str) -> Path:
        """A readable local file with this content. Raises ``NotFound``."""

    def delete(self, digest: str) -> int:
        """Forget it; returns its size in bytes, 0 where the store did not have it."""

    def held(self) -> Iterator[tuple[str, int]]:
        """Digest and size in bytes of everything in the store, in any order."""
