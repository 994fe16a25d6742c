from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.tensors.check import StreamCheck
from rondo.tensors.files import write_tensors
from rondo.tensors.layout import Layout, read_layout


@pytest.fixture
def model(tmp_path: Path) -> Path:
    arrays = {"a": np.ones((2, 2), np.float32), "flag": np.array([True]), "w": np.arange(5.0), "z": np.zeros(0)}
    return write_tensors(tmp_path / "model", arrays).path


def run(content: bytes, size: int, *check: object) -> Layout:
    checking = StreamCheck(*check)  # type: ignore[arg-type]
    for start in range(0, len(content), size):
        checking.feed(content[start : start + size])
    return checking.finish()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_good_file_passes_in_any_pieces(model: Path, size: int) -> None:
    expected = read_layout(model)
    assert run(model.read_bytes(), size, expected) == expected
    assert run(model.read_bytes(), size) == expected


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_planted_nan_is_named(model: Path, size: int) -> None:
    content = bytearray(model.read_bytes())
    content[-16:-8] = np.array([np.nan]).tobytes()
    with pytest.raises(BadInput, match=r"^update of ward: tensor 'w' holds NaN .*flat index 3\)"):
        run(bytes(content), size, None, frozenset(), "update of ward")


def test_another_layout_is_refused_before_its_data(model: Path, tmp_path: Path) -> None:
    other = write_tensors(tmp_path / "other", {"a": np.ones(4, np.float32)}).path.read_bytes()
    checking = StreamCheck(read_layout(model), frozenset({"w"}), "update of ward")
    with pytest.raises(BadInput, match=r"update of ward: tensors differ .*'a' has shape \[4\]"):
        checking.feed(other[:-16])


def test_omitted_tensors_are_not_awaited(model: Path, tmp_path: Path) -> None:
    part = write_tensors(tmp_path / "part", {"a": np.ones((2, 2), np.float32), "w": np.arange(5.0), "z": np.zeros(0)})
    check = read_layout(model), frozenset({"flag"})
    assert run(part.path.read_bytes(), 100, *check) == read_layout(part.path)
    with pytest.raises(BadInput, match="'flag' is missing"):
        run(part.path.read_bytes(), 100, check[0])


def test_a_file_that_ends_too_early_or_too_late(model: Path) -> None:
    content = model.read_bytes()
    with pytest.raises(BadInput, match="ends within its header, after 5 bytes"):
        run(content[:5], 100)
    with pytest.raises(BadInput, match="ends within its header, after 50 bytes"):
        run(content[:50], 100)
    with pytest.raises(BadInput, match="ends 3 bytes too early, in tensor 'w'"):
        run(content[:-3], 100)
    with pytest.raises(BadInput, match="goes on after its last tensor"):
        run(content + b"x", 100)


def test_a_long_header_is_refused_unread(model: Path) -> None:
    announced = (8 << 20).to_bytes(8, "little")
    with pytest.raises(BadInput, match=f"header of {8 << 20} bytes"):
        StreamCheck(read_layout(model)).feed(announced)
    StreamCheck().feed(announced)


def test_a_file_without_tensors(tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "empty", {}).path
    assert run(path.read_bytes(), 4).tensors == ()
