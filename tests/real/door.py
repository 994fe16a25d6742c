"""The server's port as a stranger sees it: log-ins and calls with any certificate, name and token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rondo.base.errors import RondoError
from rondo.net import methods
from rondo.net.channel import Channel, open_channel
from rondo.net.errors import status_of
from rondo.net.kits import read_kit
from rondo.net.methods import Kind
from rondo.pki.authority import make_authority
from rondo.pki.certificates import Role
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb
from tests.real.world import World


@dataclass(frozen=True)
class Keys:
    """What a stranger shows: the server he dials, whom he trusts, and whatever certificate he has."""

    host: str
    port: int
    ca_pem: bytes
    cert_pem: bytes | None = None
    key_pem: bytes | None = None


class Door:
    """The server's port, as strangers see it."""

    def __init__(self, made: World) -> None:
        self._kit = read_kit(made.workspaces["a"])
        self._made = made

    def of(self, name: str) -> Keys:
        kit = read_kit(self._made.workspaces[name])
        return Keys(kit.host, kit.port, kit.ca_pem, kit.cert_pem, kit.key_pem)

    def forged(self, name: str) -> Keys:
        """A certificate with the right name and role, of an authority that calls itself as ours does."""
        issued = make_authority(self._kit.project, self._kit.certificate.not_before + 3600).issue(
            Role.CLIENT, name, "hub", self._kit.certificate.not_before + 3600, 30
        )
        return Keys(self._kit.host, self._kit.port, self._kit.ca_pem, issued.cert_pem, issued.key_pem)

    def nameless(self) -> Keys:
        return Keys(self._kit.host, self._kit.port, self._kit.ca_pem)

    async def refused(self, keys: Keys, *, name: str = "a", role: str = "client", project: str = "demo") -> str:
        """How the server refuses this log-in: the status and the words."""
        async with open_channel(keys) as channel:  # type: ignore[arg-type]
            return await refused(channel, methods.REGISTER, hello(name, role, project))

    @asynccontextmanager
    async def logged_in(self, name: str, role: str = "client") -> AsyncIterator[Channel]:
        async with open_channel(self.of(name)) as channel:  # type: ignore[arg-type]
            channel.token = (await channel.call(methods.REGISTER, hello(name, role))).token
            yield channel


def hello(name: str, role: str = "client", project: str = "demo") -> pb.Hello:
    return pb.Hello(project=project, name=name, role=role, protocol=PROTOCOL, version="test")


async def refused(channel: Channel, method: Any, request: Any) -> str:
    try:
        await ask(channel, method, request)
    except RondoError as error:
        return f"{status_of(error)}: {error.what}"
    raise AssertionError(f"{method.path} was answered")


async def ask(channel: Channel, method: Any, request: Any) -> Any:
    if method.kind is Kind.UNARY:
        return await channel.call(method, request, timeout=20)
    if method.kind is Kind.DOWN:
        return [answer async for answer in channel.stream(method, request, timeout=20)]

    async def chunks() -> Any:
        yield request

    return await channel.send(method, chunks(), timeout=20)


def empty(method: Any) -> Any:
    """The least that can be asked."""
    return method.request.decode(b"")
