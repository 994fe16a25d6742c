"""Links that break, fall silent, or go through a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

import pytest

from rondo.base.errors import Unreachable
from rondo.net.calls import Call
from rondo.net.channel import Channel, open_channel
from rondo.net.methods import COMMAND, REGISTER, WAIT
from rondo.net.retry import keep_trying
from rondo.net.tuning import Tuning
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority
from tests.net.depot import backoff, kit_for, serve
from tests.net.proxy import ConnectProxy, Proxy
from tests.ports import free_port

QUICK = Tuning(ping=1.0, answer=0.5, bulk_answer=0.5, first_pause=0.05, longest_pause=0.1)


class Waiting:
    """A server with calls that wait: ``arrived`` when there is one, ``ended`` when it is over."""

    def __init__(self) -> None:
        self.arrived, self.ended = asyncio.Event(), asyncio.Event()
        self.handlers = {REGISTER: self.register, WAIT: self.wait, COMMAND: self.command}

    async def register(self, hello: pb.Hello, call: Call) -> pb.Welcome:
        return pb.Welcome(project=hello.project)

    async def wait(self, holding: pb.Holding, call: Call) -> pb.Order:
        self.arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return pb.Order()

    async def command(self, request: pb.CommandRequest, call: Call) -> AsyncGenerator[pb.Rows, None]:
        yield pb.Rows(json=[b"first"])
        await self.wait(pb.Holding(), call)


async def ask(channel: Channel) -> str:
    return (await channel.call(REGISTER, pb.Hello(project="here"))).project


async def wait(channel: Channel) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await channel.call(WAIT, pb.Holding())
    return caught.value


async def watch(channel: Channel) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        async for row in channel.stream(COMMAND, pb.CommandRequest()):
            assert row.json == [b"first"]
    return caught.value


@pytest.mark.parametrize("call", [wait, watch])
async def test_a_cut_is_noticed_at_both_ends_and_the_next_call_connects_again(
    authority: Authority, call: Callable[[Channel], Coroutine[None, None, Unreachable]]
) -> None:
    waiting = Waiting()
    async with (
        serve(authority, waiting.handlers) as server,
        Proxy(server.ports[0]) as proxy,
        open_channel(kit_for(authority, proxy.port), tuning=QUICK) as channel,
        asyncio.TaskGroup() as group,
    ):
        broken = group.create_task(call(channel))
        await waiting.arrived.wait()
        proxy.cut()
        assert (await broken).what == "the connection was cut"
        await waiting.ended.wait()
        assert await keep_trying(lambda: ask(channel), backoff()) == "here"
        assert proxy.accepted == 2


async def test_a_peer_that_falls_silent_is_noticed_by_both_ends(authority: Authority) -> None:
    waiting = Waiting()
    async with (
        serve(authority, waiting.handlers, tuning=QUICK) as server,
        Proxy(server.ports[0]) as proxy,
        open_channel(kit_for(authority, proxy.port), tuning=QUICK) as channel,
        asyncio.TaskGroup() as group,
    ):
        broken = group.create_task(wait(channel))
        await waiting.arrived.wait()
        proxy.stall()
        assert (await broken).what == "the other side is silent"
        await waiting.ended.wait()
        proxy.go_on()
        assert await keep_trying(lambda: ask(channel), backoff()) == "here"


def test_a_dead_peer_is_noticed_within_30_s_and_no_nat_forgets_the_connection() -> None:
    tuning = Tuning()
    assert tuning.ping + tuning.answer < 30
    assert 1.15 * tuning.ping + tuning.answer < 30, "the server's side"
    assert tuning.ping < 300 / 2


async def test_idle_connections_stay_open_and_the_server_does_not_mind_the_pings(authority: Authority) -> None:
    waiting = Waiting()
    async with (
        serve(authority, waiting.handlers, tuning=QUICK) as server,
        Proxy(server.ports[0]) as proxy,
        open_channel(kit_for(authority, proxy.port), tuning=QUICK) as channel,
    ):
        await ask(channel)
        before = dict(proxy.passed)
        # Three pings of 17 bytes and their answers, each in a TLS record; too many would end in a GOAWAY.
        await proxy.until(lambda: all(proxy.passed[way] >= before[way] + 3 * 39 for way in proxy.passed))
        assert await ask(channel) == "here"
        assert proxy.accepted == 1


async def test_a_server_that_was_away_is_found_again(authority: Authority) -> None:
    waiting, port = Waiting(), free_port()
    async with open_channel(kit_for(authority, port), tuning=QUICK) as channel:
        with pytest.raises(Unreachable, match="nothing listens there"):
            await ask(channel)
        for _ in range(2):
            async with serve(authority, waiting.handlers, port):
                assert await keep_trying(lambda: ask(channel), backoff()) == "here"


async def test_a_name_that_is_not_known_says_so(authority: Authority) -> None:
    async with open_channel(authority.kit("site", "no-such-host.invalid", 1)) as channel:
        with pytest.raises(Unreachable, match="the host name is not known"):
            await ask(channel)


@pytest.fixture
async def served(authority: Authority) -> AsyncIterator[int]:
    async with serve(authority, Waiting().handlers) as server:
        yield server.ports[0]


async def test_https_proxy_is_honoured_with_its_password(authority: Authority, served: int) -> None:
    async with ConnectProxy() as proxy:
        environ = {"HTTPS_PROXY": f"http://me:secret@localhost:{proxy.port}"}
        async with open_channel(kit_for(authority, served), environ=environ) as channel:
            assert await ask(channel) == "here"
            assert channel.where == f"localhost:{served} through the proxy localhost:{proxy.port}"
    assert proxy.asked == [f"localhost:{served}"]
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[0]


async def test_the_process_environment_is_read(
    authority: Authority, served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.port}")
        async with open_channel(kit_for(authority, served)) as channel:
            assert await ask(channel) == "here"
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with open_channel(kit_for(authority, served)) as channel:
            assert await ask(channel) == "here"
    assert len(proxy.asked) == 1


async def test_a_proxy_that_refuses_is_named(authority: Authority, served: int) -> None:
    async with ConnectProxy("407 Proxy Authentication Required") as proxy:
        environ = {"HTTPS_PROXY": f"http://localhost:{proxy.port}"}
        async with open_channel(kit_for(authority, served), environ=environ) as channel:
            with pytest.raises(Unreachable, match="the proxy refused the connection") as caught:
                await ask(channel)
    assert f"through the proxy localhost:{proxy.port}" in str(caught.value)
    assert "407" in caught.value.detail
