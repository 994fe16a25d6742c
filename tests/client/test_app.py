"""The client program against a server that answers as a test says: what ends a client, and what it waits out."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, LedgerBusy, NoSpace, RondoError
from rondo.client.app import join
from rondo.net import methods
from rondo.net.calls import Call, Handlers
from rondo.net.kits import load_kit
from rondo.net.server import open_server
from rondo.pki.kit import Kit
from rondo.simulator.local import SERVER, Layout, make_kits
from rondo.wire import rondo_pb2 as pb
from tests.ports import free_port

LEAVE = pb.Order(leave=pb.Leave(reason="the test is over"))


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kit]:
    folder = tmp_path_factory.mktemp("kits")
    made = make_kits(folder, Layout({"a": None}, port=free_port()), SystemClock())
    return {name: load_kit(path, SystemClock().now()) for name, path in made.items()}


@pytest.fixture(autouse=True)
def grpc_ends() -> Iterator[None]:
    """grpc.aio's own thread ends with the last of its objects; errors that were caught hold some in cycles."""
    yield
    gc.collect()


@asynccontextmanager
async def answering(
    kit: Kit, *waits: pb.Order | RondoError, logins: tuple[RondoError, ...] = ()
) -> AsyncIterator[None]:
    """A server that answers waiting calls with ``waits``, one after the other; the first log-ins with errors."""
    orders, troubles = iter(waits), iter(logins)

    async def register(hello: pb.Hello, call: Call) -> pb.Welcome:
        for trouble in troubles:
            raise trouble
        return pb.Welcome(token="t", instance=hello.name, heartbeat=60.0, project=hello.project)

    async def wait(_: pb.Holding, call: Call) -> pb.Order:
        order = next(orders)
        if isinstance(order, RondoError):
            raise order
        return order

    async def goodbye(_: pb.Quit, call: Call) -> pb.QuitReply:
        return pb.QuitReply()

    handlers: Handlers = {methods.REGISTER: register, methods.WAIT: wait, methods.QUIT: goodbye}
    async with open_server(kit, handlers, [kit.port], "localhost"):
        yield


@pytest.mark.parametrize(
    "trouble", [lambda: NoSpace("disk full"), lambda: LedgerBusy("locked"), lambda: RondoError("a defect")]
)
async def test_trouble_of_the_server_is_waited_out(kits: dict[str, Kit], trouble: Callable[[], RondoError]) -> None:
    async with answering(kits[SERVER], trouble(), LEAVE, logins=(trouble(),)):
        assert await join(kits["a"], "test") == ""


async def test_a_request_that_the_server_cannot_read_is_not_repeated_for_ever(kits: dict[str, Kit]) -> None:
    async with answering(kits[SERVER], BadInput("what is this?")):
        with pytest.raises(BadInput, match="what is this"):
            await join(kits["a"], "test")


async def test_a_client_that_finds_no_server_can_be_stopped(kits: dict[str, Kit], tmp_path: Path) -> None:
    stop = asyncio.Event()
    joining = asyncio.create_task(join(kits["a"], "test", stop=stop))
    await asyncio.wait([joining], timeout=0.1)  # whatever it does first: it finds nobody
    stop.set()
    async with asyncio.timeout(5):
        assert await joining == ""
