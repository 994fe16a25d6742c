from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import BadInput, Conflict, NoSpace
from rondo.tensors.digest import file_digest
from rondo.tensors.files import TensorFile, TensorWriter, read_into, write_tensors
from rondo.tensors.layout import header_of, read_layout

SCHEMA = [("b", "F32", (2, 2)), ("a", "F32", (3,)), ("e", "F32", (0,)), ("n", "I64", ())]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7), "e": np.zeros((0, 4), np.float16)}
    info = write_tensors(tmp_path / "deep" / "m", arrays)
    assert info == file_digest(tmp_path / "deep" / "m")
    with TensorFile(info.path) as file:
        assert list(file) == ["e", "n", "w"] and len(file) == 3
        for name, array in arrays.items():
            assert file[name].dtype == array.dtype and np.array_equal(file[name], array)
            assert not file[name].flags.writeable
        assert file.segment("w", 1, 4).tolist() == [1.0, 2.0, 3.0]
        with pytest.raises(KeyError):
            file["z"]
    assert os.listdir(info.path.parent) == ["m"]


def test_arrays_outlive_the_file_that_is_closed_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write_tensors(path, {"a": np.ones(1000)})
    with TensorFile(path) as file:
        kept = file["a"]
    write_tensors(path, {"a": np.zeros(1000)})
    assert kept.sum() == 1000
    with pytest.raises(Conflict, match="closed"):
        file["a"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float64).reshape(3, 4)
    plain = write_tensors(tmp_path / "plain", {"a": matrix, "b": np.array([True])})
    odd = {"b": np.array([True]), "a": np.asfortranarray(matrix.astype(">f8"))}
    assert write_tensors(tmp_path / "odd", odd).digest == plain.digest
    assert (
        write_tensors(tmp_path / "strided", {**odd, "a": np.repeat(matrix, 2, axis=1)[:, ::2]}).digest == plain.digest
    )


def test_bits_are_declared(tmp_path: Path) -> None:
    bits = {"a": np.array([0x3F80], np.uint16)}
    write_tensors(tmp_path / "m", bits, {"a": "BF16"})
    assert read_layout(tmp_path / "m").specs() == (("a", "BF16", (1,)),)
    with pytest.raises(BadInput, match="'a' is declared F32 but its array is uint16"):
        write_tensors(tmp_path / "m", bits, {"a": "F32"})
    with pytest.raises(BadInput, match="complex64 cannot be stored"):
        write_tensors(tmp_path / "m", {"a": np.zeros(1, np.complex64)})


def test_an_unaligned_tensor_is_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "m", {"a": np.array([1], np.uint8), "b": np.array([1.5, 2.5])})
    with TensorFile(tmp_path / "m") as file:
        assert file["b"].tolist() == [1.5, 2.5]
        assert file["b"].flags.aligned and not file["b"].flags.writeable


def test_blocks_may_reach_over_tensors(tmp_path: Path) -> None:
    values = np.arange(7, dtype=np.float32)
    with TensorWriter(tmp_path / "m", SCHEMA) as writer:
        for block in (values[:1], values[1:6], values[6:], np.array([9])):
            writer.write(block)
        info = writer.close()
    assert info == file_digest(tmp_path / "m")
    with TensorFile(tmp_path / "m") as file:
        assert file["b"].tolist() == [[0, 1], [2, 3]] and file["a"].tolist() == [4, 5, 6] and file["n"] == 9
        assert list(file) == ["b", "a", "e", "n"]


def test_blocks_must_fit(tmp_path: Path) -> None:
    with TensorWriter(tmp_path / "m", SCHEMA) as writer:
        with pytest.raises(BadInput, match="block of float64 came where F32 of 'b' is due"):
            writer.write(np.zeros(1))
        with pytest.raises(BadInput, match="block of float32 came where I64 of 'n' is due"):
            writer.write(np.zeros(8, np.float32))
    with TensorWriter(tmp_path / "m", SCHEMA[:1]) as writer:
        writer.write(np.zeros(3, np.float32))
        with pytest.raises(BadInput, match="'b' was not written to its end"):
            writer.close()
        writer.write(np.zeros(1, np.float32))
        with pytest.raises(BadInput, match="came where the end is due"):
            writer.write(np.zeros(1, np.float32))
    assert os.listdir(tmp_path) == []


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    old = write_tensors(tmp_path / "m", {"a": np.ones(3)})
    with pytest.raises(KeyboardInterrupt), TensorWriter(tmp_path / "m", SCHEMA):
        raise KeyboardInterrupt
    assert file_digest(tmp_path / "m") == old
    assert os.listdir(tmp_path) == ["m"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to let a file grow over ``size`` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("count", "size"), [(100, 150), (100_000, 150), (100_000, 200_000)])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, count: int, size: int) -> None:
    with largest_file(size), pytest.raises(NoSpace, match="m: cannot write"):
        write_tensors(tmp_path / "m", {"a": np.zeros(count)})
    assert os.listdir(tmp_path) == []


def test_a_header_that_does_not_fit_on_the_disk(tmp_path: Path) -> None:
    schema = [(f"tensor number {number}", "F32", ()) for number in range(1000)]
    with largest_file(10_000), pytest.raises(NoSpace):
        TensorWriter(tmp_path / "m", schema)
    assert os.listdir(tmp_path) == []


def test_reading_fills_the_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(16)))
    block = np.zeros(2, "<u2")
    read_into(path, 4, block)
    assert block.tolist() == [0x0504, 0x0706]
    read_into(path, 16, block[:0])
    with pytest.raises(BadInput, match="ends 2 bytes too early"):
        read_into(path, 14, block)
    with pytest.raises(BadInput, match="gone: cannot be read"):
        read_into(tmp_path / "gone", 0, block)


@pytest.mark.parametrize("content", [b"", header_of(SCHEMA)])
def test_a_file_that_is_not_whole_is_not_opened(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(BadInput):
        TensorFile(tmp_path / "m")
