"""What a blob store must do. Content is immutable and named by its digest."""

from __future__ import annotations

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

    def stat(self, digest: str) -> int | None:
        """Size in bytes, or None where the store does not have it."""

    def delete(self, digest: str) -> None:
        """Forget it; unknown digests are fine."""
