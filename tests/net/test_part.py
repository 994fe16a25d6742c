"""The receiving end by itself: what is here is kept, checked, superseded, and counts only when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3

from rondo.base.errors import Conflict, ProtocolBroken, Unreachable
from rondo.net.channel import open_channel
from rondo.net.part import Part, keep, part_size
from rondo.net.transfer import pull, receive
from rondo.net.tuning import MIB, SMALL
from rondo.tensors.digest import FileInfo
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority
from tests.net.depot import backoff, kit_for, ref, write_file


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def test_on_resuming_the_check_sees_every_byte_once_and_in_order(tmp_path: Path) -> None:
    file, into = write_file(tmp_path / "whole", 3 * MIB + 7), tmp_path / "in"
    content = file.path.read_bytes()
    with pytest.raises(Unreachable, match=f"ended after {MIB} of"):
        await receive(chunks_of(content[:MIB]), into, ref(file), offset=0)
    assert part_size(into) == MIB and not into.exists()
    seen: list[bytes] = []
    got = await receive(chunks_of(content[MIB:]), into, ref(file), offset=MIB, check=seen.append)
    assert b"".join(seen) == content
    assert got == FileInfo(into, file.digest, file.size)
    assert into.read_bytes() == content


@pytest.mark.parametrize("size", [1, SMALL])
async def test_a_small_file_comes_with_its_name(authority: Authority, tmp_path: Path, size: int) -> None:
    """No call is made for it: there is no server."""
    file = write_file(tmp_path / "whole", size)
    named = ref(file)
    named.content = file.path.read_bytes()
    async with open_channel(kit_for(authority, 1)) as channel:
        assert (await pull(channel, named, tmp_path / "in", backoff())).digest == file.digest
    assert (tmp_path / "in").read_bytes() == named.content


@pytest.mark.parametrize(("size", "content"), [(3, b"abd"), (4, b"abc"), (3, b"abcd"), (SMALL + 1, bytes(SMALL + 1))])
def test_content_that_is_not_what_it_is_named_is_not_kept(tmp_path: Path, size: int, content: bytes) -> None:
    digest = f"blake3:{blake3(b'abc' if size < SMALL else content).hexdigest()}"
    with pytest.raises(ProtocolBroken, match="bytes that are not"):
        keep(tmp_path / "in", pb.FileRef(digest=digest, size=size, content=content))
    assert list(tmp_path.iterdir()) == []


async def test_bytes_for_another_offset_are_not_taken(tmp_path: Path) -> None:
    file = write_file(tmp_path / "whole", 10)
    with pytest.raises(Conflict, match="0 bytes are here, not 5"):
        await receive(chunks_of(b"12345"), tmp_path / "in", ref(file), offset=5)


async def test_a_new_connection_supersedes_one_that_hangs(tmp_path: Path) -> None:
    file, into = write_file(tmp_path / "whole", 4 * MIB), tmp_path / "in"
    content = file.path.read_bytes()
    at, go = asyncio.Event(), asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield content[:MIB]
        yield content[MIB : 2 * MIB]
        at.set()
        await go.wait()
        yield content[2 * MIB : 3 * MIB]

    async with asyncio.TaskGroup() as group:
        old = group.create_task(_conflict(hanging(), into, file))
        await at.wait()
        offset = MIB if part_size(into) < 2 * MIB else 2 * MIB
        async with Part(into, ref(file), takeover=True) as part:
            offset = part.done
        got = await receive(chunks_of(content[offset:]), into, ref(file), offset=offset)
        go.set()
        assert "another connection" in (await old).what
    assert got.path.read_bytes() == content


async def _conflict(chunks: AsyncIterator[bytes], into: Path, file: FileInfo) -> Conflict:
    with pytest.raises(Conflict) as caught:
        await receive(chunks, into, ref(file), offset=0)
    return caught.value


async def test_a_durable_file_is_whole_too(tmp_path: Path) -> None:
    file = write_file(tmp_path / "whole", 100)
    async with Part(tmp_path / "in", ref(file), durable=True) as part:
        await asyncio.to_thread(part.append, file.path.read_bytes())
        assert (await part.finish()).digest == file.digest
