from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo, Hasher, file_digest, parse_digest

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 3])
def test_a_file_is_digested_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(content[:size])
    expected = "sha256:" + hashlib.sha256(content[:size]).hexdigest()
    assert file_digest(path) == FileInfo(path, expected, size)


def test_the_digest_of_nothing_and_of_pieces() -> None:
    hasher = Hasher()
    assert hasher.digest() == EMPTY
    hasher.update(b"ab")
    hasher.update(memoryview(b"c"))
    assert hasher.digest() == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_gives_its_digits() -> None:
    assert parse_digest(EMPTY) == EMPTY[7:]


@pytest.mark.parametrize(
    "text", ["", "sha256:", EMPTY[7:], EMPTY.upper(), EMPTY + "0", EMPTY[:-1], f"{EMPTY}\n", "sha256:../" + "a" * 61]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a digest"):
        parse_digest(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone.*cannot be read: No such file"):
        file_digest(tmp_path / "gone")
