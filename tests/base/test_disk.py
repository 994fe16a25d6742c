"""What is synced is on the disk."""

from __future__ import annotations

from pathlib import Path

from rondo.base.disk import sync
from tests.base.extents import is_on_disk


def test_a_synced_file_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    sync(path)
    assert is_on_disk(path)
