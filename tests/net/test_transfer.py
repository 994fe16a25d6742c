"""Files go down and up, whole or not at all, over links that break at any byte."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Conflict, GaveUp, LedgerBusy, NoSpace, NotFound, ProtocolBroken
from rondo.net.calls import Call
from rondo.net.channel import Channel, open_channel
from rondo.net.methods import OFFER, PULL
from rondo.net.part import Part, part_size
from rondo.net.transfer import pull, push, read_chunks
from rondo.net.tuning import CHUNK, MIB, WINDOW, Tuning
from rondo.tensors.digest import FileInfo, file_digest
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority
from tests.net.depot import Depot, backoff, kit_for, linked, ref, serve, write_file
from tests.net.proxy import Proxy, Way

QUICK = Tuning(first_pause=0.01, longest_pause=0.05)
OFFERED = pb.Offer(package=pb.Package(name="p"))


@asynccontextmanager
async def proxied(authority: Authority, depot: Depot) -> AsyncIterator[tuple[Proxy, Channel]]:
    async with (
        serve(authority, depot.handlers) as server,
        Proxy(server.ports[0]) as proxy,
        open_channel(kit_for(authority, proxy.port), tuning=QUICK) as channel,
    ):
        yield proxy, channel


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    (tmp_path / "depot").mkdir()
    return Depot(tmp_path / "depot")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17])
async def test_a_file_of_any_size_goes_both_ways(authority: Authority, depot: Depot, tmp_path: Path, size: int) -> None:
    theirs, ours = depot.add(size), write_file(tmp_path / "ours", size + 1)
    seen: list[tuple[int, int]] = []
    async with linked(authority, depot.handlers) as (_, channel):
        got = await pull(channel, ref(theirs), tmp_path / "got", backoff(), lambda *at: seen.append(at))
        await push(channel, ours, OFFERED, backoff(), lambda *at: seen.append(at))
    assert got == FileInfo(tmp_path / "got", theirs.digest, size)
    assert got.path.read_bytes() == theirs.path.read_bytes()
    assert depot.path(ours.digest).read_bytes() == ours.path.read_bytes()
    assert seen[-1] == (size + 1, size + 1) and (not size or (size, size) in seen)
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


async def test_what_the_other_side_has_is_not_sent_again(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    theirs = depot.add(3 * MIB)
    async with proxied(authority, depot) as (proxy, channel):
        got = await pull(channel, ref(theirs), tmp_path / "got", backoff())
        before = dict(proxy.passed)
        assert await pull(channel, ref(theirs), tmp_path / "got", backoff()) == got
        await push(channel, got, OFFERED, backoff())
    assert all(proxy.passed[way] - before[way] < 10_000 for way in Way)


@pytest.mark.parametrize("way", list(Way))
async def test_a_link_cut_at_random_bytes_goes_on_where_it_stopped(
    authority: Authority, depot: Depot, tmp_path: Path, way: Way
) -> None:
    size, cuts, chance = 48 * MIB, 50, random.Random(f"{way}")
    async with proxied(authority, depot) as (proxy, channel):
        for _ in range(cuts):
            proxy.cut_after(chance.randrange(size), way)
        if way is Way.DOWN:
            file = depot.add(size)
            got = await pull(channel, ref(file), tmp_path / "got", backoff())
        else:
            file = write_file(tmp_path / "ours", size)
            await push(channel, file, OFFERED, backoff())
            got = file_digest(depot.path(file.digest))
    assert (got.digest, got.size) == (file.digest, size)
    assert proxy.cuts == cuts
    again = proxy.passed[way] - size
    assert again < cuts * 2 * MIB, f"{again / MIB / cuts:.1f} MiB a cut were sent twice"


@pytest.mark.parametrize("way", list(Way))
async def test_a_connection_that_one_end_believes_alive_is_no_obstacle(
    authority: Authority, depot: Depot, tmp_path: Path, way: Way
) -> None:
    """A NAT forgets it: the client knows and comes again while the server still waits for the old one."""
    size, times = 16 * MIB, 4
    file = depot.add(size) if way is Way.DOWN else write_file(tmp_path / "ours", size)
    async with proxied(authority, depot) as (proxy, channel), asyncio.TaskGroup() as group:
        proxy.rate = 60e6
        if way is Way.DOWN:
            group.create_task(pull(channel, ref(file), tmp_path / "got", backoff()))
        else:
            group.create_task(push(channel, file, OFFERED, backoff()))
        for time in range(1, times + 1):
            await proxy.until(lambda reached=time * size / (times + 1): proxy.passed[way] > reached)
            proxy.forget()
    assert proxy.cuts == times <= proxy.forgotten
    assert proxy.passed[way] - size < times * WINDOW, "what was on its way may be sent again, no more"
    assert file_digest(tmp_path / "got" if way is Way.DOWN else depot.path(file.digest)).digest == file.digest


async def test_a_pull_goes_on_from_what_an_earlier_process_left(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file, left = depot.add(4 * MIB), 3 * MIB + 5
    (tmp_path / "got.part").write_bytes(file.path.read_bytes()[:left])
    async with proxied(authority, depot) as (proxy, channel):
        await pull(channel, ref(file), tmp_path / "got", backoff())
    assert proxy.passed[Way.DOWN] < 2 * MIB
    assert file_digest(tmp_path / "got").digest == file.digest


@pytest.mark.parametrize("left", [1, 4 * MIB, 9 * MIB])
async def test_a_damaged_part_is_thrown_away_and_fetched_again(
    authority: Authority, depot: Depot, tmp_path: Path, left: int
) -> None:
    file = depot.add(4 * MIB)
    (tmp_path / "got.part").write_bytes(b"\x00" * left)  # what a loss of power may leave behind
    async with linked(authority, depot.handlers) as (_, channel):
        await pull(channel, ref(file), tmp_path / "got", backoff())
        ours = write_file(tmp_path / "ours", 4 * MIB + 1)
        depot.path(ours.digest).with_name(f"{depot.path(ours.digest).name}.part").write_bytes(b"\x00" * left)
        await push(channel, ours, OFFERED, backoff())
    assert file_digest(tmp_path / "got").digest == file.digest
    assert file_digest(depot.path(ours.digest)).digest == ours.digest


async def test_a_server_that_forgot_the_upload_is_offered_it_again(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file = write_file(tmp_path / "ours", 2 * MIB)

    async def offer(offer: pb.Offer, call: Call) -> pb.OfferReply:
        reply = await depot.offer(offer, call)
        if depot.offers == 1:
            depot.forget_uploads()
        return reply

    async with linked(authority, {**depot.handlers, OFFER: offer}) as (_, channel):
        await push(channel, file, OFFERED, backoff())
    assert depot.offers == 2
    assert depot.path(file.digest).exists()


async def test_eight_streams_at_once(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    down = [depot.add(6 * MIB + n) for n in range(4)]
    up = [write_file(tmp_path / f"up{n}", 5 * MIB + n) for n in range(4)]
    async with linked(authority, depot.handlers) as (_, channel), asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(pull(channel, ref(down[n]), tmp_path / f"down{n}", backoff()))
            group.create_task(push(channel, up[n], OFFERED, backoff()))
    assert [file_digest(tmp_path / f"down{n}").digest for n in range(4)] == [file.digest for file in down]
    assert all(file_digest(depot.path(file.digest)).digest == file.digest for file in up)


# What a server may do wrong.


def lying(send: Callable[[pb.PullRequest], AsyncGenerator[bytes, None]]):  # type: ignore[no-untyped-def]
    async def handler(request: pb.PullRequest, call: Call) -> AsyncGenerator[bytes, None]:
        async for chunk in send(request):
            yield chunk

    return {PULL: handler}


async def too_much(request: pb.PullRequest) -> AsyncGenerator[bytes, None]:
    for _ in range(10):
        yield bytes(MIB)


async def other_bytes(request: pb.PullRequest) -> AsyncGenerator[bytes, None]:
    yield bytes(request.file.size - request.offset)


@pytest.mark.parametrize(("send", "says"), [(too_much, "more than the"), (other_bytes, "announced as blake3:")])
async def test_wrong_content_is_refused_and_nothing_of_it_stays(
    authority: Authority, tmp_path: Path, send: Callable[..., AsyncGenerator[bytes, None]], says: str
) -> None:
    async with linked(authority, lying(send)) as (_, channel):
        with pytest.raises(ProtocolBroken, match=says):
            await pull(channel, pb.FileRef(digest="blake3:" + "0" * 64, size=2 * MIB), tmp_path / "got", backoff())
    assert names(tmp_path) == []


async def test_a_stream_that_ends_early_is_asked_again_from_where_it_ended(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file, offsets = depot.add(3 * MIB), []

    async def one_chunk(request: pb.PullRequest) -> AsyncGenerator[bytes, None]:
        offsets.append(request.offset)
        async for chunk in read_chunks(file.path, request.offset):
            yield chunk
            return

    async with linked(authority, lying(one_chunk)) as (_, channel):
        await pull(channel, ref(file), tmp_path / "got", backoff())
    assert offsets == [0, MIB, 2 * MIB]


async def test_a_server_that_sends_nothing_exhausts_patience_and_keeps_the_part(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file = depot.add(2 * MIB)
    (tmp_path / "got.part").write_bytes(file.path.read_bytes()[:MIB])

    async def nothing(request: pb.PullRequest) -> AsyncGenerator[bytes, None]:
        for _ in ():
            yield b""

    async with linked(authority, lying(nothing)) as (_, channel):
        with pytest.raises(GaveUp, match="ended after 1048576 of 2097152 bytes"):
            await pull(channel, ref(file), tmp_path / "got", backoff(patience=0.1))
    assert part_size(tmp_path / "got", ref(file)) == MIB


async def test_what_the_server_answers_is_raised(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    file = depot.add(10)
    async with linked(authority, depot.handlers) as (_, channel):
        with pytest.raises(NotFound, match="no such file"):
            await pull(channel, pb.FileRef(digest="blake3:" + "1" * 64, size=1), tmp_path / "got", backoff())
        with pytest.raises(BadInput, match="byte 11 of a file of 10 bytes"):
            async for _ in channel.stream(PULL, pb.PullRequest(file=ref(file), offset=11)):
                pass
        with pytest.raises(BadInput):  # an offset that no file can have is no reason to stumble
            async for _ in channel.stream(PULL, pb.PullRequest(file=ref(file), offset=2**64 - 1)):
                pass


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (pb.OfferReply(refused="round 3 is closed", code="Conflict"), Conflict),
        (pb.OfferReply(refused="no", code="BadInput"), BadInput),
    ],
)
async def test_a_refused_offer_is_an_error_and_no_byte_is_sent(
    authority: Authority, tmp_path: Path, reply: pb.OfferReply, kind: type[Exception]
) -> None:
    offers: list[pb.Offer] = []

    async def offer(request: pb.Offer, call: Call) -> pb.OfferReply:
        offers.append(request)
        return reply

    file = write_file(tmp_path / "ours", 10)
    async with linked(authority, {OFFER: offer}) as (_, channel):
        with pytest.raises(kind, match=reply.refused):
            await push(channel, file, OFFERED, backoff())
    assert (offers[0].file.digest, offers[0].file.size, offers[0].package.name) == (file.digest, 10, "p")
    assert not OFFERED.HasField("file"), "the caller's offer is not changed"


async def test_a_busy_ledger_is_asked_again(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    async def offer(request: pb.Offer, call: Call) -> pb.OfferReply:
        if not depot.offers:
            depot.offers += 1
            raise LedgerBusy("locked")
        return await depot.offer(request, call)

    file = write_file(tmp_path / "ours", 10)
    async with linked(authority, {**depot.handlers, OFFER: offer}) as (_, channel):
        await push(channel, file, OFFERED, backoff())
    assert depot.path(file.digest).exists()


# What the receiving end sees to.


async def test_content_that_is_not_wanted_ends_the_upload_at_once(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file = write_file(tmp_path / "ours", 40 * MIB)
    fed: list[int] = []

    def refuse() -> Callable[[bytes], None]:
        def check(chunk: bytes) -> None:
            fed.append(len(chunk))
            if sum(fed) > 2 * MIB:
                raise BadInput("NaN in tensor w", where="site")

        return check

    depot.check = refuse
    async with proxied(authority, depot) as (proxy, channel):
        with pytest.raises(BadInput, match="NaN in tensor w") as caught:
            await push(channel, file, OFFERED, backoff())
    assert caught.value.where == "site"
    assert sum(fed) == 3 * MIB
    assert proxy.passed[Way.UP] < 30 * MIB
    assert part_size(depot.path(file.digest), ref(file)) == 0


async def test_two_pulls_to_one_place_do_not_mix(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    file = depot.add(MIB)
    async with linked(authority, depot.handlers) as (_, channel):
        async with Part(tmp_path / "got", ref(file)):
            with pytest.raises(Conflict, match="somebody else is receiving"):
                await pull(channel, ref(file), tmp_path / "got", backoff())
        await pull(channel, ref(file), tmp_path / "got", backoff())


async def test_a_full_disk_says_so_and_the_transfer_goes_on_later(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file = depot.add(4 * MIB)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with linked(authority, depot.handlers) as (_, channel):
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB + 100, hard))
        try:
            with pytest.raises(NoSpace, match="cannot write"):
                await pull(channel, ref(file), tmp_path / "got", backoff())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert part_size(tmp_path / "got", ref(file)) >= 2 * MIB
        await pull(channel, ref(file), tmp_path / "got", backoff())
    assert file_digest(tmp_path / "got").digest == file.digest


async def test_a_cancelled_pull_leaves_what_it_has_and_lets_go(
    authority: Authority, depot: Depot, tmp_path: Path
) -> None:
    file, moved = depot.add(64 * MIB), asyncio.Event()
    async with linked(authority, depot.handlers) as (_, channel):
        for _ in range(3):
            task = asyncio.create_task(pull(channel, ref(file), tmp_path / "got", backoff(), lambda *_: moved.set()))
            await moved.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            moved.clear()
        assert 0 < part_size(tmp_path / "got", ref(file)) < 64 * MIB
        await pull(channel, ref(file), tmp_path / "got", backoff())
    assert file_digest(tmp_path / "got").digest == file.digest


async def test_the_loop_is_free_while_files_move(authority: Authority, depot: Depot, tmp_path: Path) -> None:
    """Disk and hashing must not keep the loop: between two looks at it no more than what one chunk costs gRPC."""
    file, channel_moves = depot.add(32 * MIB), True
    loop, longest = asyncio.get_running_loop(), 0.0

    async def look() -> None:
        nonlocal longest
        while channel_moves:
            before = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - before)

    async with linked(authority, depot.handlers) as (_, channel), asyncio.TaskGroup() as group:
        group.create_task(look())
        await pull(channel, ref(file), tmp_path / "got", backoff())
        channel_moves = False
    assert longest < 0.1
