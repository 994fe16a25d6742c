"""TCP proxies on the loopback interface: one that breaks what goes through it on purpose, one that speaks CONNECT."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Self

_READ = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Way(StrEnum):
    UP = "up"  # from the client to the server
    DOWN = "down"


class Proxy:
    """``async with Proxy(port) as proxy``: connect to ``proxy.port`` instead of ``port`` of 127.0.0.1.

    May be set at any time: ``delay`` (seconds, each way), ``rate`` (bytes a second, each way over all connections,
    None: no limit), ``refuse`` (new connections are reset). ``passed`` counts bytes each way over all connections;
    ``accepted`` and ``cuts`` count connections and cuts, ``forgotten`` those whose server was told nothing.
    """

    def __init__(self, target: int, *, delay: float = 0.0, rate: float | None = None) -> None:
        self.target, self.delay, self.rate = target, delay, rate
        self.refuse = False
        self.passed = {Way.UP: 0, Way.DOWN: 0}
        self.accepted = 0
        self.cuts = 0
        self._limits: dict[Way, list[int]] = {Way.UP: [], Way.DOWN: []}
        self._line_free = {Way.UP: 0.0, Way.DOWN: 0.0}
        self._links: set[asyncio.Task[None]] = set()
        self._servers: list[socket.socket] = []
        self._dangling: list[socket.socket] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._changed = asyncio.Condition()

    # What a test may do.

    def cut_after(self, count: int, way: Way = Way.DOWN) -> None:
        """Reset every connection when ``count`` more bytes have gone ``way``. Several such points may be set."""
        self._limits[way] = sorted([*self._limits[way], self.passed[way] + count])

    def cut(self) -> None:
        """Reset every connection now: both ends see it."""
        self.cuts += 1
        for link in self._links:
            link.cancel()

    def forget(self) -> None:
        """Reset the clients' ends alone: the server's stay open and silent, as when a NAT forgets its connections."""
        self._servers = [server for server in self._servers if server.fileno() >= 0]
        self._dangling += [server.dup() for server in self._servers]
        self.cut()

    @property
    def forgotten(self) -> int:
        return len(self._dangling)

    def stall(self) -> None:
        """Hold every byte while sockets stay open, as when the machine at the other end has lost its power."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Let the held bytes go."""
        self._flowing.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until ``happened()``; asked after every new connection, every cut, every piece that passes."""
        async with self._changed:
            await self._changed.wait_for(happened)

    # How it works.

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._serving = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self._listener.close()
        for end in self._dangling:
            end.close()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                self.accepted += 1
                link = group.create_task(self._link(client))
                self._links.add(link)
                link.add_done_callback(self._links.discard)

    async def _link(self, client: socket.socket) -> None:
        client.setblocking(False)
        server: socket.socket | None = None
        try:
            server = None if self.refuse else await self._open_server(client)
            await self._tell()
            if server is not None:
                self._servers.append(server)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(client, server, Way.UP))
                    both.create_task(self._carry(server, client, Way.DOWN))
        except* OSError:
            pass  # one end has closed: so does the other
        finally:
            for sock in (client, server):
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    sock.close()
            await self._tell()

    async def _open_server(self, client: socket.socket) -> socket.socket | None:
        return await _connect(self.target)

    async def _carry(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        """Bytes wait for their turn on the line (``rate``), then travel (``delay``)."""
        travelling: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=512)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._receive(source, travelling, way))
            ends.create_task(self._deliver(travelling, sink, way))

    async def _receive(self, source: socket.socket, travelling: asyncio.Queue[tuple[float, bytes]], way: Way) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            data = await loop.sock_recv(source, _READ)
            if self.rate is not None:
                # A timer that fires late must not make the line slower.
                self._line_free[way] = max(loop.time() - 0.05, self._line_free[way]) + len(data) / self.rate
                await asyncio.sleep(self._line_free[way] - loop.time())
            await travelling.put((loop.time() + self.delay, data))

    async def _deliver(self, travelling: asyncio.Queue[tuple[float, bytes]], sink: socket.socket, way: Way) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await travelling.get()
            await asyncio.sleep(due - loop.time())
            await self._flowing.wait()
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            cut_here = bool(self._limits[way]) and self.passed[way] + len(data) >= self._limits[way][0]
            if cut_here:
                data = data[: self._limits[way].pop(0) - self.passed[way]]
            await loop.sock_sendall(sink, data)
            self.passed[way] += len(data)
            await self._tell()
            if cut_here:
                self.cut()
                await loop.create_future()  # until cancelled

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class ConnectProxy(Proxy):
    """An HTTP proxy that knows one word, CONNECT (RFC 9110, 9.3.6). ``asked``: the targets; ``heads``: the requests.

    ``answer`` is the status line's end; anything but 200 ends the connection. All targets are on 127.0.0.1, whatever
    their names.
    """

    def __init__(self, answer: str = "200 Connection established") -> None:
        super().__init__(0)
        self.answer = answer
        self.asked: list[str] = []
        self.heads: list[str] = []

    async def _open_server(self, client: socket.socket) -> socket.socket | None:
        loop = asyncio.get_running_loop()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await loop.sock_recv(client, 1)
            if not byte:
                return None
            head += byte
        self.heads.append(head.decode())
        word, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(target)
        server = None
        if word == "CONNECT" and self.answer.startswith("200"):
            server = await _connect(int(target.rpartition(":")[2]))
        await loop.sock_sendall(client, f"HTTP/1.1 {self.answer}\r\n\r\n".encode())
        return server


async def _connect(port: int) -> socket.socket:
    server = socket.socket()
    server.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", port))
    except BaseException:
        server.close()
        raise
    return server
