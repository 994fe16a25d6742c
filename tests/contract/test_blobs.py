"""What every store of ``rondo.blobs`` keeps to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rondo.base.errors import BadInput, NotFound
from rondo.base.options import decode
from rondo.base.rooms import names, pick
from rondo.blobs import local
from rondo.blobs.seam import BlobStore
from rondo.tensors.digest import FileInfo, file_digest
from tests.base.extents import is_on_disk

STORES = names("rondo.blobs")
UNKNOWN = "blake3:" + "0" * 64
NO_DIGESTS = ["", "blake3:", "0" * 64, "blake3:../../" + "a" * 58, UNKNOWN.upper(), UNKNOWN + "\n", UNKNOWN + "/x"]

# What a store cannot do without, given an empty folder.
REQUIRED: dict[str, Callable[[Path], Mapping[str, Any]]] = {"local": lambda empty: {"folder": str(empty / "blobs")}}


def build(name: str, folder: Path) -> BlobStore:
    module = pick("rondo.blobs", name)
    store: BlobStore = module.build(decode(module.Options, REQUIRED[name](folder), f"store {name}"))
    return store


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return build(request.param, tmp_path)


def arrived(folder: Path, content: bytes) -> FileInfo:
    """A finished file, as the spool has it."""
    path = folder / "arrived"
    path.write_bytes(content)
    return file_digest(path)


def test_a_durable_folder_has_on_the_disk_what_it_adopted(tmp_path: Path) -> None:
    """A file without a history: one that is made of a spare has its place on the disk already."""
    store = local.build(local.Options(folder=str(tmp_path / "blobs"), durable=True))
    file = arrived(tmp_path, bytes(1 << 20))
    store.adopt(file.path, file.digest)
    assert is_on_disk(store.local(file.digest))


def test_the_room_is_listed() -> None:
    assert "local" in STORES


@pytest.mark.parametrize("name", STORES)
def test_options_are_strict(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"store {name}: unknown key 'surely_not'"):
        decode(pick("rondo.blobs", name).Options, {**REQUIRED[name](tmp_path), "surely_not": 1}, f"store {name}")


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 20_000])
def test_a_file_that_is_adopted_is_the_stores_alone(store: BlobStore, tmp_path: Path, content: bytes) -> None:
    file = arrived(tmp_path, content)
    store.adopt(file.path, file.digest)
    assert not file.path.exists()
    assert store.local(file.digest).read_bytes() == content
    assert list(store.held()) == [(file.digest, len(content))]


def test_adopting_again_is_harmless(store: BlobStore, tmp_path: Path) -> None:
    for _ in range(2):
        file = arrived(tmp_path, b"same")
        store.adopt(file.path, file.digest)
        assert not file.path.exists()
    store.adopt(file.path, file.digest)  # the very call, made again after a kill
    assert store.local(file.digest).read_bytes() == b"same"


def test_what_is_not_there_cannot_be_adopted(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere: no such file to keep"):
        store.adopt(tmp_path / "nowhere", UNKNOWN)
    assert list(store.held()) == []


def test_what_it_does_not_have_is_not_found(store: BlobStore) -> None:
    with pytest.raises(NotFound, match=f"no file {UNKNOWN}"):
        store.local(UNKNOWN)
    assert list(store.held()) == []
    assert store.delete(UNKNOWN) == 0


def test_everything_that_is_held_is_listed(store: BlobStore, tmp_path: Path) -> None:
    expected = set()
    for number in range(20):
        file = arrived(tmp_path, bytes(number))
        store.adopt(file.path, file.digest)
        expected.add((file.digest, number))
    assert set(store.held()) == expected


def test_a_deleted_file_is_gone_and_may_come_back(store: BlobStore, tmp_path: Path) -> None:
    for _ in range(2):
        file = arrived(tmp_path, b"again")
        store.adopt(file.path, file.digest)
        assert list(store.held()) == [(file.digest, 5)]
        assert store.delete(file.digest) == 5
        assert list(store.held()) == []
        with pytest.raises(NotFound):
            store.local(file.digest)


def test_who_reads_is_not_disturbed_by_who_deletes(store: BlobStore, tmp_path: Path) -> None:
    file = arrived(tmp_path, b"still here")
    store.adopt(file.path, file.digest)
    with store.local(file.digest).open("rb") as reading:
        store.delete(file.digest)
        assert reading.read() == b"still here"


@pytest.mark.parametrize("name", STORES)
def test_files_outlive_the_store_that_took_them(name: str, tmp_path: Path) -> None:
    file = arrived(tmp_path, b"kept")
    build(name, tmp_path).adopt(file.path, file.digest)
    assert build(name, tmp_path).local(file.digest).read_bytes() == b"kept"


@pytest.mark.parametrize("text", NO_DIGESTS)
def test_what_is_no_digest_touches_nothing(store: BlobStore, tmp_path: Path, text: str) -> None:
    file = arrived(tmp_path, b"mine")
    for call in (store.local, store.delete, lambda digest: store.adopt(file.path, digest)):
        with pytest.raises(BadInput, match="not a digest"):
            call(text)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["arrived"]
