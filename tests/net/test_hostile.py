"""Who may not come in, and what arrives at an open port: each is turned away, and the server serves the others."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest

from rondo.base.errors import Unreachable
from rondo.net.calls import Call
from rondo.net.channel import Channel, open_channel
from rondo.net.methods import PUSH, REGISTER
from rondo.net.tuning import Tuning
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority, TestKit
from tests.net.depot import LOOPBACK, kit_for, serve
from tests.net.proxy import Proxy

FOREIGN = Authority("somebody else's project")


async def welcome(hello: pb.Hello, call: Call) -> pb.Welcome:
    return pb.Welcome(project=hello.project)


async def swallow(chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
    async for _ in chunks:
        pass
    return pb.PushReply(accepted=True)


@pytest.fixture
async def port(authority: Authority) -> AsyncIterator[int]:
    """Of a server that must still serve when the test is over."""
    handlers = {REGISTER: welcome, PUSH: swallow}
    async with serve(authority, handlers, tuning=Tuning(handshake=0.5)) as running:
        yield running.ports[0]
        async with open_channel(kit_for(authority, running.ports[0])) as channel:
            assert await ask(channel) == "still serving", "after whatever the test did"


async def ask(channel: Channel) -> str:
    return (await channel.call(REGISTER, pb.Hello(project="still serving"), timeout=20)).project


def foreign_client(kit: TestKit) -> TestKit:
    return dataclasses.replace(FOREIGN.kit("site", port=kit.port), ca_pem=kit.ca_pem)


def foreign_server(kit: TestKit) -> TestKit:
    return dataclasses.replace(kit, ca_pem=FOREIGN.kit("x").ca_pem)


def other_host(kit: TestKit) -> TestKit:
    return dataclasses.replace(kit, host=LOOPBACK)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (foreign_client, "may not accept this certificate"),
        (foreign_server, "not issued by this project, or has expired"),
        (other_host, "for another host name"),
    ],
)
async def test_the_wrong_certificate_is_turned_away(
    authority: Authority, port: int, change: Callable[[TestKit], TestKit], says: str
) -> None:
    async with open_channel(change(kit_for(authority, port))) as channel:
        with pytest.raises(Unreachable, match=says) as caught:
            await ask(channel)
    assert caught.value.where.endswith(f":{port}")
    assert "rondo doctor" in caught.value.hint


async def test_an_expired_certificate_is_turned_away(authority: Authority, port: int) -> None:
    async with open_channel(authority.kit("site", port=port, days=-1)) as channel:
        with pytest.raises(Unreachable, match="may not accept this certificate"):
            await ask(channel)


async def test_an_expired_server_is_not_trusted(authority: Authority) -> None:
    expired = authority.kit("server", days=-1)
    keys = grpc.ssl_server_credentials([(expired.key_pem, expired.cert_pem)])
    server = grpc.aio.server()
    port = server.add_secure_port(f"{LOOPBACK}:0", keys)
    await server.start()
    try:
        async with open_channel(kit_for(authority, port)) as channel:
            with pytest.raises(Unreachable, match="not issued by this project, or has expired"):
                await ask(channel)
    finally:
        await server.stop(None)


@pytest.mark.parametrize("with_tls", [True, False])
async def test_nobody_comes_in_without_a_certificate(authority: Authority, port: int, with_tls: bool) -> None:
    keys = grpc.ssl_channel_credentials(authority.kit("x").ca_pem) if with_tls else None
    target = f"localhost:{port}"
    channel = grpc.aio.secure_channel(target, keys) if keys else grpc.aio.insecure_channel(target)
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(REGISTER.path)(b"", timeout=20)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def client_hello(authority: Authority) -> bytes:
    """The first bytes that a good client sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=authority.kit("x").ca_pem.decode())
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("what", ["nothing", "one byte", "garbage", "http", "half a hello", "a hello", "a huge record"])
async def test_bytes_that_are_no_handshake_are_dropped_in_time(authority: Authority, port: int, what: str) -> None:
    hello = client_hello(authority)
    data = {
        "nothing": b"",
        "one byte": b"\x16",
        "garbage": bytes(range(256)) * 40,
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "half a hello": hello[: len(hello) // 2],
        "a hello": hello,
        "a huge record": b"\x16\x03\x01\xff\xff" + b"\x00" * 0xFFFF,
    }[what]
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(data)
    async with open_channel(kit_for(authority, port)) as channel:
        assert await ask(channel) == "still serving", "while the other connection is open"
    try:
        while await reader.read(65536):
            pass  # an alert, or the server's half of the handshake; then the end
    except ConnectionError:
        pass  # a reset is an end, too
    writer.close()


async def test_hundreds_of_connections_that_say_nothing_do_not_keep_others_out(authority: Authority, port: int) -> None:
    silent = [await asyncio.open_connection(LOOPBACK, port) for _ in range(300)]
    async with open_channel(kit_for(authority, port)) as channel:
        assert await ask(channel) == "still serving"
    for reader, writer in silent:
        assert await reader.read() == b""  # the server ends them
        writer.close()


@pytest.mark.parametrize("garbage", [b"\xff" * 4096, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096])
async def test_garbage_behind_a_good_handshake_ends_that_connection_only(
    authority: Authority, port: int, tmp_path: Path, garbage: bytes
) -> None:
    kit = kit_for(authority, port)
    for name, pem in (("ca", kit.ca_pem), ("cert", kit.cert_pem), ("key", kit.key_pem)):
        (tmp_path / name).write_bytes(pem)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca"))
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("localhost", kit.port, ssl=context, family=2)
    writer.write(garbage)
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass
    writer.close()


async def test_a_client_that_dies_in_the_middle_of_an_upload_harms_nobody(authority: Authority, port: int) -> None:
    async with Proxy(port) as proxy, open_channel(kit_for(authority, proxy.port)) as channel:
        proxy.cut_after(3 << 20, "up")

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(1 << 20)

        async with aclosing(endless()) as chunks:
            with pytest.raises(Unreachable):
                await channel.send(PUSH, chunks)
