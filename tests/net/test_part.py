"""The receiving end by itself: what is here is kept, checked, superseded, and counts only when it is whole."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3

from rondo.base.errors import BadInput, Conflict, ProtocolBroken, Unreachable
from rondo.base.spare import SPARE, give_up
from rondo.net.channel import open_channel
from rondo.net.part import Part, keep, part_size
from rondo.net.transfer import pull, receive
from rondo.net.tuning import MIB, SMALL
from rondo.tensors.digest import FileInfo
from rondo.wire import rondo_pb2 as pb
from tests.base.extents import is_on_disk
from tests.net.certs import Authority
from tests.net.depot import backoff, kit_for, ref, write_file

ROOT = Path(__file__).parents[2]


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def test_on_resuming_the_check_sees_every_byte_once_and_in_order(tmp_path: Path) -> None:
    file, into = write_file(tmp_path / "whole", 3 * MIB + 7), tmp_path / "in"
    content = file.path.read_bytes()
    with pytest.raises(Unreachable, match=f"ended after {MIB} of"):
        await receive(chunks_of(content[:MIB]), into, ref(file), offset=0, check=None, durable=False)
    assert part_size(into, ref(file)) == MIB and not into.exists()
    seen: list[bytes] = []
    got = await receive(chunks_of(content[MIB:]), into, ref(file), offset=MIB, check=seen.append, durable=False)
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
        await receive(chunks_of(b"12345"), tmp_path / "in", ref(file), offset=5, check=None, durable=False)


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
        offset = MIB if part_size(into, ref(file)) < 2 * MIB else 2 * MIB
        async with Part(into, ref(file), takeover=True) as part:
            offset = part.done
        got = await receive(chunks_of(content[offset:]), into, ref(file), offset=offset, check=None, durable=False)
        go.set()
        assert "another connection" in (await old).what
    assert got.path.read_bytes() == content


async def _conflict(chunks: AsyncIterator[bytes], into: Path, file: FileInfo) -> Conflict:
    with pytest.raises(Conflict) as caught:
        await receive(chunks, into, ref(file), offset=0, check=None, durable=False)
    return caught.value


async def test_a_durable_file_is_whole_and_on_the_disk(tmp_path: Path) -> None:
    file = write_file(tmp_path / "whole", MIB)
    async with Part(tmp_path / "in", ref(file), durable=True) as part:
        await asyncio.to_thread(part.append, file.path.read_bytes())
        assert (await part.finish()).digest == file.digest
    assert is_on_disk(tmp_path / "in")


# A part that is made of a file which was not needed any more.


def spare_of(content: bytes, folder: Path) -> int:
    """The inode of the folder's spare."""
    (folder / "old").write_bytes(content)
    give_up(folder / "old")
    return (folder / SPARE).stat().st_ino


@pytest.mark.parametrize("longer", [-MIB, 0, 8, MIB])
async def test_a_part_made_of_a_spare_tells_how_much_of_it_is_new(tmp_path: Path, longer: int) -> None:
    file, into = write_file(tmp_path / "whole", 3 * MIB + 7), tmp_path / "in"
    content = file.path.read_bytes()
    inode = spare_of(b"\xff" * (file.size + longer), tmp_path)
    with pytest.raises(Unreachable, match=f"ended after {2 * MIB} of"):
        await receive(
            chunks_of(content[:MIB], content[MIB : 2 * MIB]), into, ref(file), offset=0, check=None, durable=False
        )
    assert part_size(into, ref(file)) == 2 * MIB
    other = pb.FileRef(digest="blake3:" + "0" * 64, size=file.size)
    assert part_size(into, other) == 0, "what is here is nothing of another file"
    seen: list[bytes] = []
    await receive(chunks_of(content[2 * MIB :]), into, ref(file), offset=2 * MIB, check=seen.append, durable=False)
    assert b"".join(seen) == content == into.read_bytes()
    assert into.stat().st_ino == inode


async def test_a_chunk_counts_after_it_is_written_and_checked(tmp_path: Path) -> None:
    file, into = write_file(tmp_path / "whole", 3 * MIB), tmp_path / "in"
    content, said, there = file.path.read_bytes(), [], []

    def check(block: bytes) -> None:
        said.append(part_size(into, ref(file)))
        there.append(into.with_name("in.part").read_bytes()[said[-1] : said[-1] + MIB] == block)

    spare_of(b"\xff" * file.size, tmp_path)
    chunks = [content[at : at + MIB] for at in range(0, file.size, MIB)]
    await receive(chunks_of(*chunks), into, ref(file), offset=0, check=check, durable=False)
    assert said == [0, MIB, 2 * MIB]
    assert all(there)


async def test_a_part_of_another_file_under_the_same_name_is_not_gone_on_with(tmp_path: Path) -> None:
    file, other = write_file(tmp_path / "whole", 2 * MIB), write_file(tmp_path / "other", 2 * MIB + 1)
    spare_of(bytes(MIB), tmp_path)
    with pytest.raises(Unreachable):
        await receive(
            chunks_of(other.path.read_bytes()[:MIB]), tmp_path / "in", ref(other), offset=0, check=None, durable=False
        )
    await receive(chunks_of(file.path.read_bytes()), tmp_path / "in", ref(file), offset=0, check=None, durable=False)
    assert (tmp_path / "in").read_bytes() == file.path.read_bytes()


async def test_what_a_loss_of_power_left_is_fetched_again_and_no_reason_to_refuse_the_file(tmp_path: Path) -> None:
    file, into = write_file(tmp_path / "whole", 2 * MIB), tmp_path / "in"
    content = file.path.read_bytes()

    def check(block: bytes) -> None:
        if b"\xff" * 1000 in block:
            raise BadInput("not finite")

    spare_of(b"\xff" * file.size, tmp_path)
    with pytest.raises(Unreachable):
        await receive(chunks_of(content[:MIB]), into, ref(file), offset=0, check=check, durable=False)
    with into.with_name("in.part").open("r+b") as part:  # the mark was on the disk, these bytes were not
        part.write(b"\xff" * 5000)
    with pytest.raises(ProtocolBroken, match="what was here is damaged: not finite"):
        await receive(chunks_of(content[MIB:]), into, ref(file), offset=MIB, check=check, durable=False)
    await receive(chunks_of(content), into, ref(file), offset=0, check=check, durable=False)
    assert into.read_bytes() == content


@pytest.mark.parametrize("seed", range(12))
async def test_killed_at_any_moment_it_has_what_it_says(tmp_path: Path, seed: int) -> None:
    """kill -9 while chunks are appended to a part that was a file of 0xff: no such byte ever counts."""
    chance = random.Random(seed)
    file, into = write_file(tmp_path / "whole", 8 * MIB), tmp_path / "in"
    content, appended = file.path.read_bytes(), chance.randrange(8)
    spare_of(b"\xff" * chance.randrange(1, 12 * MIB), tmp_path)
    command = [sys.executable, "-m", "tests.net.programs", "append", str(file.path), str(into)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
    assert process.stdout is not None
    for _ in range(appended + 1):
        await process.stdout.readline()
    process.kill()
    said = appended + (await process.stdout.read()).count(b"\n")
    await process.wait()
    here = part_size(into, ref(file))
    assert appended * MIB <= here <= (said + 1) * MIB
    assert into.with_name("in.part").read_bytes()[:here] == content[:here]
    await receive(chunks_of(content[here:]), into, ref(file), offset=here, check=None, durable=False)
    assert into.read_bytes() == content
