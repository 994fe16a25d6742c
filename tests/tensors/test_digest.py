from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo, Hasher, file_digest, parse_digest

EMPTY = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 3])
def test_a_file_is_digested_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(content[:size])
    expected = "blake3:" + blake3(content[:size]).hexdigest()
    assert file_digest(path) == FileInfo(path, expected, size)


def test_the_digest_of_nothing_and_of_pieces() -> None:
    hasher = Hasher()
    assert hasher.digest() == EMPTY
    hasher.update(b"ab")
    hasher.update(memoryview(b"c"))
    assert hasher.digest() == "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


def test_a_digest_gives_its_digits() -> None:
    assert parse_digest(EMPTY) == EMPTY[7:]


@pytest.mark.parametrize(
    "text", ["", "blake3:", EMPTY[7:], EMPTY.upper(), EMPTY + "0", EMPTY[:-1], f"{EMPTY}\n", "blake3:../" + "a" * 61]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a digest"):
        parse_digest(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone.*cannot be read: No such file"):
        file_digest(tmp_path / "gone")
