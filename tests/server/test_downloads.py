"""What an admin may fetch by its place, and that nothing else can be reached that way."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import BadInput, NotFound, Refused, RondoError
from rondo.net.transfer import CHUNK
from rondo.server.downloads import chunks_at, files_at, place_of
from rondo.tensors.digest import file_digest
from rondo.wire import rondo_pb2 as pb


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("startup/server.key", "ledger.db", "transfer/job/a b.bin", "transfer/job/.hidden", "run_1/x/log.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "transfer" / "job" / "link").symlink_to(tmp_path / "startup" / "server.key")
    (tmp_path / "transfer" / "way").symlink_to(tmp_path / "startup")
    os.mkfifo(tmp_path / "transfer" / "job" / "fifo")
    return tmp_path


async def content(workspace: Path, place: str, size: int, offset: int = 0) -> bytes:
    async with aclosing(chunks_at(workspace, pb.FileRef(place=place, size=size), offset)) as chunks:
        return b"".join([chunk async for chunk in chunks])


def paths(workspace: Path, path: str) -> list[str]:
    return [file.path for file in files_at(workspace, path, digests=False)]


def test_what_is_listed(workspace: Path) -> None:
    assert (
        paths(workspace, "") == paths(workspace, "job") == paths(workspace, "transfer/job") == ["transfer/job/a b.bin"]
    )
    assert paths(workspace, "run_1") == paths(workspace, "./run_1//x/log.txt") == ["run_1/x/log.txt"]
    (file,) = files_at(workspace, "run_1", digests=True)
    assert file.digest == file_digest(workspace / file.path).digest and file.size == 15
    assert paths(workspace / "run_1", "") == []
    with pytest.raises(NotFound, match="no such file or folder: nothing"):
        files_at(workspace, "nothing", digests=False)


@pytest.mark.parametrize(
    "path", ["../startup/server.key", "/etc/passwd", "run_1/../ledger.db", "transfer/../ledger.db"]
)
async def test_names_that_lead_elsewhere(workspace: Path, path: str) -> None:
    with pytest.raises(BadInput, match="is not allowed"):
        files_at(workspace, path, digests=False)
    with pytest.raises(BadInput, match="is not allowed"):
        await content(workspace, path, 1)


@pytest.mark.parametrize(
    "place", ["transfer/way/server.key", "job/link", "startup/server.key", "ledger.db", "job/fifo", "job"]
)
async def test_links_pipes_folders_and_what_is_no_download(workspace: Path, place: str) -> None:
    with pytest.raises((Refused, NotFound)):
        await content(workspace, place, 10)


async def test_a_log_that_grows_is_what_it_was_when_it_was_listed(workspace: Path) -> None:
    log = workspace / "run_1" / "x" / "log.txt"
    log.write_bytes(bytes(CHUNK) + b"end")
    (file,) = files_at(workspace, "run_1", digests=True)
    with log.open("ab") as more:
        more.write(b"and more")
    whole = await content(workspace, file.path, file.size)
    assert whole == bytes(CHUNK) + b"end" and await content(workspace, file.path, file.size, CHUNK + 1) == b"nd"
    log.write_bytes(b"short")
    assert await content(workspace, file.path, file.size) == b"short"
    with pytest.raises(BadInput, match="byte 9 of a file of 5"):
        await content(workspace, file.path, 5, 9)


@given(
    path=st.lists(st.sampled_from(["..", ".", "", "/", "run_1", "transfer", "startup", "a", "\0", "~"])).map("/".join)
)
def test_every_place_is_in_one_of_the_two(path: str) -> None:
    try:
        place = place_of(path)
    except RondoError:
        return
    parts = place.split("/")
    assert parts[0] in ("transfer", "run_1") and not {"", ".", ".."} & set(parts)
