"""Ten thousand calls that make no sense, over mutual TLS, against a real server: each gets a typed answer, and the log
has no traceback."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import msgspec

from rondo.base.errors import RondoError, YourFault, by_code
from rondo.commands import seam
from rondo.net import methods
from rondo.net.channel import TOKEN
from rondo.net.errors import TROUBLE, Trouble
from rondo.net.kits import read_kit
from rondo.net.methods import Kind, Method
from rondo.net.transfer import OFFSET, UPLOAD
from rondo.pki.kit import Kit
from rondo.simulator.local import ADMIN, SERVER
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb
from tests.real.nonsense import broken, command, message
from tests.real.world import LONG, World, world

AT_ONCE = 16
HUGE = 3 << 20  # bytes of one field
REQUESTS: dict[Method[Any, Any], Any] = {
    methods.REGISTER: pb.Hello,
    methods.WAIT: pb.Holding,
    methods.BEAT: pb.Beat,
    methods.REPORT: pb.Report,
    methods.QUIT: pb.Quit,
    methods.OFFER: pb.Offer,
    methods.PULL: pb.PullRequest,
    methods.COMMAND: pb.CommandRequest,
    methods.WATCH: pb.WatchRequest,
}


@dataclass
class Nonsense:
    """A connection with a real kit, on which bytes are sent as they are. ``told``: how often each answer came."""

    channel: grpc.aio.Channel
    kit: Kit
    token: str = ""
    told: Counter[str] = field(default_factory=Counter)

    async def log_in(self) -> None:
        hello = pb.Hello(project=self.kit.project, name=self.kit.name, role=self.kit.role, protocol=PROTOCOL)
        answer = await self.channel.unary_unary(methods.REGISTER.path)(hello.SerializeToString(), timeout=LONG)
        self.token = pb.Welcome.FromString(answer).token

    async def send(self, method: Method[Any, Any], data: bytes, token: str, *more: tuple[str, str]) -> None:
        """Fails where the answer is none, or no typed one."""
        metadata = ((TOKEN, token), *more) if token else more
        try:
            async with asyncio.timeout(LONG):
                await self._answered(method, data, metadata)
            self.told["done"] += 1
        except grpc.aio.AioRpcError as error:
            self.told[_kind(error, f"{method.path} {data[:300]!r} {token[:80]}")] += 1
        except TimeoutError:
            raise AssertionError(f"no answer to {method.path} {data[:300]!r}") from None

    async def _answered(self, method: Method[Any, Any], data: bytes, metadata: Any) -> None:
        if method.kind is Kind.UNARY:
            await self.channel.unary_unary(method.path)(data, metadata=metadata)
        elif method.kind is Kind.UP:
            await self.channel.stream_unary(method.path)(iter([data, b"more"]), metadata=metadata)
        else:
            call = self.channel.unary_stream(method.path)(data, metadata=metadata)
            async for _ in call:
                pass


def _kind(error: grpc.aio.AioRpcError, of: str) -> str:
    """The kind of error that came."""
    for key, value in error.trailing_metadata() or ():
        if key == TROUBLE:
            trouble = msgspec.json.decode(value, type=Trouble)
            found = by_code(trouble.code, trouble.what)
            assert type(found) is not RondoError, f"{of}: {trouble}"
            return trouble.code
    # What gRPC itself refuses before anybody here hears of it.
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, f"{of}: {error.code()} {error.details()}"
    return "too much"


def waits(method: Method[Any, Any], data: bytes) -> bool:
    """Whether a server may rightly hold this call."""
    try:
        request = method.request.decode(data)
        if method is methods.COMMAND:
            options = seam.parse(seam.find(request.name), list(request.args))
            return bool(getattr(options, "follow", False))
    except (ValueError, YourFault):
        return False
    return bool(request.follow) if method is methods.WATCH else method is methods.WAIT and not request.patience <= 0


@asynccontextmanager
async def strangers(made: World) -> AsyncIterator[list[Nonsense]]:
    """An admin's connection and a client's, none logged in."""
    kits = [read_kit(made.workspaces[name]) for name in (ADMIN, "a")]
    both = []
    for kit in kits:
        keys = grpc.ssl_channel_credentials(kit.ca_pem, kit.key_pem, kit.cert_pem)
        both.append(Nonsense(grpc.aio.secure_channel(f"{kit.host}:{kit.port}", keys), kit))
    try:
        yield both
    finally:
        for one in both:
            await one.channel.close()


async def all_of(calls: Iterator[Any]) -> None:
    """So many at a time."""

    async def some() -> None:
        for call in calls:
            await call

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(some())


def lines(of: Random, admin: Nonsense, count: int) -> Iterator[Any]:
    """Commands that no console has looked at."""
    while count:
        name, *args = command(of)
        data = pb.CommandRequest(name=name, args=args).SerializeToString()
        if not waits(methods.COMMAND, data):
            count -= 1
            yield admin.send(methods.COMMAND, data, admin.token)


def calls(of: Random, both: list[Nonsense], count: int) -> Iterator[Any]:
    """Every call there is, with messages that are not quite, and with tokens that are not one's own."""
    while count:
        who, method = of.choice(both), of.choice([*REQUESTS, methods.PUSH])
        token = of.choice([who.token, who.token, who.token, both[0].token, both[1].token, "", "x" * 43, "x" * 300])
        if method is methods.QUIT:
            token = "x" * 43
        if method is methods.PUSH:
            count -= 1
            about = [
                (UPLOAD, of.choice(["", "x", "../x", who.token])),
                (OFFSET, of.choice(["0", "-1", "9" * 30, "nan"])),
            ]
            yield who.send(method, of.randbytes(20), token, *about)
            continue
        good = message(of, REQUESTS[method]).SerializeToString()
        data = broken(of, good) if of.random() < 0.6 else good
        if not waits(method, data):
            count -= 1
            yield who.send(method, data, token)


async def test_ten_thousand_calls_without_sense(tmp_path: Path) -> None:
    of = Random("nonsense")
    async with world(tmp_path / "w", {"a": None}, absent=["a"]) as made, strangers(made) as both:
        admin, client = both
        await admin.log_in()
        await all_of(lines(of, admin, 4000))
        assert admin.told["done"] > 200 and admin.told["BadInput"] > 300 and admin.told["NotFound"] > 300, admin.told
        await client.log_in()
        await all_of(calls(of, both, 5994))
        huge = [
            ("x" * HUGE,),
            ("ls", *["y" * HUGE] * 3),
            ("ls", *["x"] * 10**6),
            ("grep", "server", "x" * HUGE, "log.txt"),
        ]
        for name, *args in huge:
            await admin.send(methods.COMMAND, pb.CommandRequest(name=name, args=args).SerializeToString(), admin.token)
        for token in ("x" * 300, "x" * 60_000):
            await client.send(methods.REGISTER, pb.Hello(name="z" * HUGE).SerializeToString(), token)
        assert client.told["Refused"] > 300 and client.told["too much"], client.told
        assert "status" in await made.session.facts("check_status", "server")
        log = made.output(SERVER)
        assert "Traceback" not in log and " failed (" not in log, log[-5000:]
