"""The receiving end by itself: what is here is kept, checked, superseded, and counts only when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from rondo.base.errors import Conflict, Unreachable
from rondo.net.part import Part, part_size
from rondo.net.transfer import receive
from rondo.net.tuning import MIB
from rondo.tensors.digest import FileInfo
from tests.net.depot import ref, write_file


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
