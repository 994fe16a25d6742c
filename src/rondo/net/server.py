"""The server's end: listeners with mutual TLS that serve a table of handlers (see ``rondo.net.calls``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from rondo.base.errors import Conflict
from rondo.net.calls import Handlers, rpc
from rondo.net.channel import Keys
from rondo.net.tuning import Tuning, many_files, server_options


class Server:
    """A server that is serving. ``ports`` are the numbers it listens on, in the order they were asked for."""

    def __init__(self, server: grpc.aio.Server, ports: tuple[int, ...]) -> None:
        self.ports = ports
        self._server = server

    async def stop(self, grace: float = 0.0) -> None:
        """Take no more calls, give those in progress ``grace`` seconds to end, then cancel them."""
        await self._server.stop(grace or None)


@asynccontextmanager
async def open_server(
    kit: Keys, handlers: Handlers, ports: Sequence[int], bind: str = "[::]", *, tuning: Tuning | None = None
) -> AsyncIterator[Server]:
    """Serve ``handlers`` on every one of ``ports`` (0: any free one) of address ``bind`` until the block ends.

    Whoever calls must have a certificate of the kit's authority. Raises ``Conflict`` that names a port which is
    taken, or which this user may not open.
    """
    many_files()
    server = grpc.aio.server(options=server_options(tuning or Tuning()))
    running: set[asyncio.Task[Any]] = set()
    services: dict[str, dict[str, Any]] = {}
    for method, handler in handlers.items():
        services.setdefault(f"rondo.v1.{method.service}", {})[method.name] = rpc(method, handler, running)
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, rpcs) for name, rpcs in services.items())
    )
    keys = grpc.ssl_server_credentials([(kit.key_pem, kit.cert_pem)], kit.ca_pem, require_client_auth=True)
    try:
        bound = tuple(_listen(server, bind, port, keys) for port in ports)
        await server.start()
        yield Server(server, bound)
    finally:
        await server.stop(None)
        if running:  # gRPC does not wait for the tasks of calls that it has cancelled
            await asyncio.wait(running)


def _listen(server: grpc.aio.Server, bind: str, port: int, keys: grpc.ServerCredentials) -> int:
    try:
        bound: int = server.add_secure_port(f"{bind}:{port}", keys)
    except RuntimeError as error:
        raise Conflict(
            f"cannot listen on port {port}",
            where=bind,
            hint="is another server running, or is the port below 1024?",
            detail=str(error),
        ) from None
    return bound
