"""Calls through real servers and channels: what a handler is told, and what becomes of its answer or its error."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rondo.base import errors
from rondo.base.errors import BadInput, Conflict, ProtocolBroken, Refused, RondoError, Unreachable
from rondo.net.calls import Call
from rondo.net.channel import Channel, open_channel
from rondo.net.errors import refusal, status_of, with_status
from rondo.net.methods import BEAT, COMMAND, METHODS, PUSH, REGISTER, WAIT, Kind
from rondo.net.server import open_server
from rondo.net.tuning import LARGEST, MIB
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority
from tests.net.depot import LOOPBACK, kit_for, linked, serve
from tests.net.proxy import Proxy

SORTS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, RondoError) and kind is not RondoError
]


async def welcome(hello: pb.Hello, call: Call) -> pb.Welcome:
    return pb.Welcome(token="t", project=hello.project)


async def ask(channel: Channel) -> str:
    return (await channel.call(REGISTER, pb.Hello(project="still serving"))).project


def test_the_table_has_every_service_and_kind() -> None:
    assert {method.path for method in METHODS} == {
        *(f"/rondo.v1.Federation/{name}" for name in ("Register", "Wait", "Beat", "Report", "Quit", "Offer")),
        "/rondo.v1.Files/Pull", "/rondo.v1.Files/Push", "/rondo.v1.Desk/Command", "/rondo.v1.Desk/Watch",
    }  # fmt: skip
    assert {method.name for method in METHODS if method.bulk} == {"Pull", "Push"}
    assert PUSH.kind is Kind.UP
    payload = b"raw"
    assert PUSH.request.encode(payload) is payload


async def test_a_handler_knows_who_calls(authority: Authority) -> None:
    calls: list[Call] = []

    async def register(hello: pb.Hello, call: Call) -> pb.Welcome:
        calls.append(call)
        return await welcome(hello, call)

    async with serve(authority, {REGISTER: register}) as server:
        kit = kit_for(authority, server.ports[0], "clinic")
        async with open_channel(kit) as channel:
            answer = await channel.call(REGISTER, pb.Hello(project="p"), metadata=(("rondo-upload", "u"),))
            channel.token = "secret"
            await channel.call(REGISTER, pb.Hello())
    assert answer.project == "p"
    certificate = x509.load_pem_x509_certificate(kit.cert_pem).public_bytes(Encoding.DER)
    assert calls[0].peer.common_name == "clinic"
    assert calls[0].peer.fingerprint == hashlib.sha256(certificate).hexdigest()
    assert calls[0].peer.address.startswith("127.0.0.1:")
    assert calls[0].metadata["rondo-upload"] == "u"
    assert [call.token for call in calls] == ["", "secret"]
    assert "rondo-token" not in calls[1].metadata


@pytest.mark.parametrize("kind", SORTS, ids=lambda kind: kind.__name__)
async def test_every_kind_of_error_arrives_as_itself(authority: Authority, kind: type[RondoError]) -> None:
    async def fail(hello: pb.Hello, call: Call) -> pb.Welcome:
        raise kind("weiß nicht", where="Ort", hint="später", detail="Zeile\n2")

    async with linked(authority, {REGISTER: fail}) as (_, channel):
        with pytest.raises(kind) as caught:
            await ask(channel)
    error = caught.value
    assert type(error) is kind
    assert (error.what, error.where, error.hint, error.detail) == ("weiß nicht", "Ort", "später", "Zeile\n2")


async def test_statuses_are_those_of_the_specification(authority: Authority) -> None:
    async def fail(hello: pb.Hello, call: Call) -> pb.Welcome:
        full = Refused("Maximum number of clients reached")
        raise {"usual": Refused("no"), "full": with_status(full, "RESOURCE_EXHAUSTED")}[hello.project]

    async with linked(authority, {REGISTER: fail}) as (_, channel):
        for project, status in (("usual", "PERMISSION_DENIED"), ("full", "RESOURCE_EXHAUSTED")):
            with pytest.raises(Refused) as caught:
                await channel.call(REGISTER, pb.Hello(project=project))
            assert status_of(caught.value) == status
    assert status_of(BadInput("x")) == "INVALID_ARGUMENT"


async def test_an_endless_error_is_cut_to_fit(authority: Authority) -> None:
    async def fail(hello: pb.Hello, call: Call) -> pb.Welcome:
        raise BadInput("ä" * 100_000, where="w" * 100_000, hint="h" * 100_000, detail="d" * 100_000)

    async with linked(authority, {REGISTER: fail}) as (_, channel):
        with pytest.raises(BadInput) as caught:
            await ask(channel)
    assert caught.value.what == "ä" * 512
    assert caught.value.where == "w" * 512


async def test_an_unexpected_exception_stays_here_and_the_server_goes_on(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(hello: pb.Hello, call: Call) -> pb.Welcome:
        if not hello.project:
            raise KeyError("secret of the server")
        return await welcome(hello, call)

    async with linked(authority, {REGISTER: stumble}) as (_, channel):
        with pytest.raises(RondoError) as caught:
            await channel.call(REGISTER, pb.Hello())
        assert await ask(channel) == "still serving"
    assert type(caught.value) is RondoError and status_of(caught.value) == "INTERNAL"
    assert "secret" not in str(caught.value)
    number = caught.value.hint.split()[-1]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "rondo.net.calls"]
    assert f"Register failed ({number})" in line and "KeyError: 'secret of the server'" in line


async def test_rows_come_one_by_one_and_leaving_early_ends_the_handler(authority: Authority) -> None:
    ended = asyncio.Event()

    async def command(request: pb.CommandRequest, call: Call) -> AsyncGenerator[pb.Rows, None]:
        try:
            for number in range(10_000_000):
                yield pb.Rows(json=[str(number).encode()])
        finally:
            ended.set()

    async with linked(authority, {COMMAND: command}) as (_, channel):
        async with aclosing(channel.stream(COMMAND, pb.CommandRequest(name="x"))) as rows:
            assert [row.json async for row, _ in zip_async(rows, 3)] == [[b"0"], [b"1"], [b"2"]]
        await ended.wait()


async def zip_async(rows: AsyncIterator[pb.Rows], count: int) -> AsyncGenerator[tuple[pb.Rows, int], None]:
    for number in range(count):
        yield await anext(rows), number


async def test_an_error_after_some_rows_comes_after_them(authority: Authority) -> None:
    async def command(request: pb.CommandRequest, call: Call) -> AsyncGenerator[pb.Rows, None]:
        yield pb.Rows(json=[b"1"])
        raise Conflict("not now")

    got: list[bytes] = []
    async with linked(authority, {COMMAND: command}) as (_, channel):
        with pytest.raises(Conflict, match="not now"):
            async for row in channel.stream(COMMAND, pb.CommandRequest()):
                got.extend(row.json)
    assert got == [b"1"]


@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_a_refusal_in_the_middle_of_an_upload_is_heard(authority: Authority, taken: int) -> None:
    sent = 0

    async def push(chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
        for _ in range(taken):
            await anext(chunks)
        if call.metadata["how"] == "reply":
            return pb.PushReply(refused="late", code="Conflict")
        raise BadInput("NaN in tensor w")

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(MIB)

    async with linked(authority, {PUSH: push}) as (_, channel):
        for _ in range(5):
            with pytest.raises(BadInput, match="NaN in tensor w"):
                await channel.send(PUSH, endless(), metadata=(("how", "error"),))
            reply = await channel.send(PUSH, endless(), metadata=(("how", "reply"),))
            assert reply.refused == "late"
    assert sent < 10 * 40, "the sender should have stopped"


def test_a_refusal_in_a_reply_is_an_error_of_its_kind() -> None:
    assert type(refusal("Conflict", "late")) is Conflict
    unknown = refusal("from_the_future", "no")
    assert type(unknown) is Refused and unknown.detail == "from_the_future"


async def test_bytes_that_are_no_message_are_refused(authority: Authority) -> None:
    async def lie(hello: pb.Hello, call: Call) -> pb.Welcome:
        return await welcome(hello, call)

    async with serve(authority, {REGISTER: lie}) as server:
        kit = kit_for(authority, server.ports[0])
        keys = grpc.ssl_channel_credentials(kit.ca_pem, kit.key_pem, kit.cert_pem)
        async with grpc.aio.secure_channel(f"localhost:{kit.port}", keys) as foreign:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await foreign.unary_unary(REGISTER.path)(b"\xff\xff\xff")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        async with open_channel(kit) as channel:
            assert await ask(channel) == "still serving"


async def test_an_answer_that_is_no_message_is_the_other_sides_fault(authority: Authority) -> None:
    async def reply(raw: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return b"\xff\xff\xff"

    kit = authority.kit("server")
    foreign = grpc.aio.server()
    rpcs = {"Register": grpc.unary_unary_rpc_method_handler(reply)}
    foreign.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("rondo.v1.Federation", rpcs),))
    keys = grpc.ssl_server_credentials([(kit.key_pem, kit.cert_pem)], kit.ca_pem, require_client_auth=True)
    port = foreign.add_secure_port(f"{LOOPBACK}:0", keys)
    await foreign.start()
    try:
        async with open_channel(kit_for(authority, port)) as channel:
            with pytest.raises(ProtocolBroken, match="cannot be read"):
                await ask(channel)
    finally:
        await foreign.stop(None)


async def test_a_call_that_the_server_does_not_know_says_so(authority: Authority) -> None:
    async with linked(authority, {REGISTER: welcome}) as (_, channel):
        with pytest.raises(ProtocolBroken, match="does not know this call"):
            await channel.call(BEAT, pb.Beat())


async def test_a_token_without_end_is_no_token(authority: Authority) -> None:
    async with linked(authority, {REGISTER: welcome}) as (_, channel):
        channel.token = "x" * 1000
        with pytest.raises(Refused, match="Unknown client identity") as caught:
            await ask(channel)
    assert status_of(caught.value) == "UNAUTHENTICATED"


async def test_messages_and_metadata_are_bounded(authority: Authority) -> None:
    async with serve(authority, {REGISTER: welcome}) as server:
        kit = kit_for(authority, server.ports[0])
        keys = grpc.ssl_channel_credentials(kit.ca_pem, kit.key_pem, kit.cert_pem)
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 1 << 24)]
        async with (
            grpc.aio.secure_channel(f"localhost:{kit.port}", keys, unlimited) as foreign,
            open_channel(kit) as channel,
        ):
            stub = foreign.unary_unary(REGISTER.path)
            for request, metadata in ((bytes(LARGEST + 1), ()), (b"", (("much", "m" * 100_000),))):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub(request, metadata=metadata)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert await ask(channel) == "still serving"
            with pytest.raises(BadInput, match="larger than max"):
                await channel.call(REGISTER, pb.Hello(project="x" * (LARGEST + 1)))


async def test_a_port_in_use_is_named(authority: Authority) -> None:
    async with serve(authority, {REGISTER: welcome}) as server:
        with pytest.raises(Conflict, match=f"cannot listen on port {server.ports[0]}"):
            async with serve(authority, {REGISTER: welcome}, server.ports[0]):
                pass


async def test_two_listeners_serve_the_same(authority: Authority) -> None:
    async with open_server(authority.kit("server"), {REGISTER: welcome}, (0, 0), LOOPBACK) as server:
        first, second = server.ports
        assert first != second
        async with open_channel(kit_for(authority, first)) as one, open_channel(kit_for(authority, 1), second) as two:
            assert await ask(one) == await ask(two) == "still serving"
            assert two.where == f"localhost:{second}"


async def test_stopping_lets_calls_end_within_the_grace_and_cancels_the_rest(authority: Authority) -> None:
    arrived, go, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def register(hello: pb.Hello, call: Call) -> pb.Welcome:
        arrived.set()
        await go.wait()
        return await welcome(hello, call)

    async def wait(holding: pb.Holding, call: Call) -> pb.Order:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return pb.Order()

    async with linked(authority, {REGISTER: register, WAIT: wait}) as (server, channel), asyncio.TaskGroup() as group:
        ending = group.create_task(ask(channel))
        await arrived.wait()
        waiting = group.create_task(_fails(channel))
        stopping = group.create_task(server.stop(0.5))
        go.set()
        await stopping
        assert await ending == "still serving"
        assert isinstance(await waiting, Unreachable)
        with pytest.raises(Unreachable):
            await ask(channel)


async def _fails(channel: Channel) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await channel.call(WAIT, pb.Holding())
    return caught.value


async def test_no_answer_in_time_is_unreachable(authority: Authority) -> None:
    arrived, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(holding: pb.Holding, call: Call) -> pb.Order:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return pb.Order()

    async with linked(authority, {WAIT: wait}) as (_, channel):
        seconds = 0.1
        while not arrived.is_set():  # on a busy machine the time may be up before the call is there
            with pytest.raises(Unreachable, match="no answer in time") as caught:
                await channel.call(WAIT, pb.Holding(), timeout=seconds)
            seconds *= 2
        await cancelled.wait()
    assert caught.value.where == channel.where
    assert "rondo doctor" in caught.value.hint


async def test_files_get_a_connection_of_their_own(authority: Authority) -> None:
    async def push(chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
        async for _ in chunks:
            pass
        return pb.PushReply(accepted=True)

    async def one() -> AsyncGenerator[bytes, None]:
        yield b"x"

    async with (
        serve(authority, {REGISTER: welcome, PUSH: push}) as server,
        Proxy(server.ports[0]) as proxy,
        open_channel(kit_for(authority, proxy.port)) as channel,
    ):
        await ask(channel)
        assert proxy.accepted == 1
        await channel.send(PUSH, one())
        await ask(channel)
        await channel.send(PUSH, one())
        assert proxy.accepted == 2
