"""The client's end: one server, two connections (control and bulk), calls that answer or raise a Rondo error.

gRPC connects when a call is made and connects again by itself; a call made while there is no connection fails at
once with ``Unreachable``. Whoever wants to wait does so with ``rondo.net.retry``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from rondo.base.errors import ProtocolBroken, Unreachable
from rondo.base.malloc import keep_freed, one_arena
from rondo.net.errors import unpack
from rondo.net.methods import METHODS, Codec, Kind, Method
from rondo.net.route import proxy_for
from rondo.net.tuning import Tuning, bulk_options, channel_options

Q = TypeVar("Q")
A = TypeVar("A")

TOKEN = "rondo-token"
HINT = "run `rondo doctor KIT`"

Pairs = tuple[tuple[str, str | bytes], ...]


class Keys(Protocol):
    """What the network needs of a kit (``rondo.pki.kit.Kit``)."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def ca_pem(self) -> bytes: ...
    @property
    def cert_pem(self) -> bytes: ...
    @property
    def key_pem(self) -> bytes: ...


class Channel:
    """Calls to one server. ``token``, once set, goes with every call. ``where`` is ``host:port``,
    and the proxy on the way there."""

    def __init__(self, where: str, control: grpc.aio.Channel, bulk: grpc.aio.Channel) -> None:
        self.where = where
        self.token = ""
        make = {Kind.UNARY: "unary_unary", Kind.DOWN: "unary_stream", Kind.UP: "stream_unary"}
        self._stubs: dict[str, Any] = {
            method.path: getattr(bulk if method.bulk else control, make[method.kind])(method.path) for method in METHODS
        }

    async def call(self, method: Method[Q, A], request: Q, *, timeout: float | None = None, metadata: Pairs = ()) -> A:
        """Ask once, get one answer. ``timeout`` in seconds; None waits as long as the connection lives.

        Raises ``Unreachable`` (no connection, or it broke, or no answer in time), ``ProtocolBroken``, and whatever
        error the server raised.
        """
        stub = self._stubs[method.path]
        try:
            raw = await stub(method.request.encode(request), timeout=timeout, metadata=self._metadata(metadata))
        except grpc.aio.AioRpcError as error:
            raise unpack(error, self.where, HINT) from None
        return self._decoded(method.reply, raw)

    async def stream(
        self, method: Method[Q, A], request: Q, *, timeout: float | None = None, metadata: Pairs = ()
    ) -> AsyncGenerator[A, None]:
        """Ask once, get answers one by one; errors as in ``call``. Leaving the loop early ends the call when the
        iterator is closed (``contextlib.aclosing``)."""
        call = self._stubs[method.path](
            method.request.encode(request), timeout=timeout, metadata=self._metadata(metadata)
        )
        try:
            while isinstance(raw := await call.read(), bytes):  # EOF is not
                yield self._decoded(method.reply, raw)
        except grpc.aio.AioRpcError as error:
            raise unpack(error, self.where, HINT) from None
        finally:
            call.cancel()

    async def send(
        self,
        method: Method[Q, A],
        requests: AsyncGenerator[Q, None],
        *,
        timeout: float | None = None,
        metadata: Pairs = (),
    ) -> A:
        """Send ``requests`` until they end or the server wants no more of them; errors as in ``call``."""
        call = self._stubs[method.path](timeout=timeout, metadata=self._metadata(metadata))
        enough = asyncio.ensure_future(call.initial_metadata())  # comes early only from a server that has heard enough
        try:
            async with aclosing(requests):
                async for request in requests:
                    if enough.done():
                        break
                    await call.write(method.request.encode(request))
            await call.done_writing()
            raw = await call
        except grpc.aio.AioRpcError as error:
            raise unpack(error, self.where, HINT) from None
        except asyncio.InvalidStateError:
            raise Unreachable("the connection was cut", where=self.where, hint=HINT) from None
        finally:
            enough.cancel()
            call.cancel()
        return self._decoded(method.reply, raw)

    def _metadata(self, more: Pairs) -> Pairs:
        return ((TOKEN, self.token), *more) if self.token else more

    def _decoded(self, codec: Codec[A], raw: bytes) -> A:
        try:
            return codec.decode(raw)
        except ValueError as error:
            raise ProtocolBroken(f"an answer that cannot be read: {error}", where=self.where) from None


@asynccontextmanager
async def open_channel(
    kit: Keys,
    port: int | None = None,
    *,
    tuning: Tuning | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Channel]:
    """Calls to the server that ``kit`` names (on ``port``, or the kit's own), over mutual TLS.

    The server must show a certificate of the kit's authority for the host name dialled. A proxy is taken where
    ``environ`` (the process's own by default) names one: see ``rondo.net.route``. Raises ``BadInput`` for a proxy
    that cannot be used; an unreachable server is found by the first call.
    """
    one_arena()
    keep_freed(8)
    port = port or kit.port
    target = f"[{kit.host}]:{port}" if ":" in kit.host else f"{kit.host}:{port}"
    proxy = proxy_for(kit.host, port, os.environ if environ is None else environ)
    tuning = tuning or Tuning()
    keys = grpc.ssl_channel_credentials(kit.ca_pem, kit.key_pem, kit.cert_pem)
    async with (
        grpc.aio.secure_channel(target, keys, channel_options(tuning, proxy)) as control,
        grpc.aio.secure_channel(target, keys, bulk_options(tuning, proxy)) as bulk,
    ):
        through = f" through the proxy {proxy.rpartition('@')[2].removeprefix('http://')}" if proxy else ""
        yield Channel(target + through, control, bulk)
