"""The processes that ``benchmarks.transfer`` measures: a server and clients that move files, layer by layer.

Each reads commands from its standard input, a line of JSON each, and answers with a line.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from rondo.base.clock import SystemClock
from rondo.base.spare import drop_spares, give_up
from rondo.net.calls import Call, Handlers
from rondo.net.channel import Channel, open_channel
from rondo.net.kits import load_kit
from rondo.net.methods import OFFER, PULL, PUSH
from rondo.net.part import part_size
from rondo.net.retry import Backoff
from rondo.net.server import open_server
from rondo.net.transfer import OFFSET, UPLOAD, pull, push, read_chunks, receive
from rondo.pki.kit import Kit
from rondo.tensors.check import StreamCheck
from rondo.tensors.digest import FileInfo, Hasher, parse_digest
from rondo.wire import rondo_pb2 as pb

CHUNK = 1 << 20
BLOCK = bytes(CHUNK)
AGAIN = ("spare", "checked", "durable")  # the layers in which a file is made of the one before


async def obey(answer: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
    """Do what the lines of standard input say until it ends."""
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answer(json.loads(line))), flush=True)


# ---- raw TLS: what the machine can do


def tls(kit: Kit, scratch: Path, *, server: bool) -> ssl.SSLContext:
    """Mutual TLS 1.3, as gRPC does it."""
    pair = scratch / "pair.pem"
    pair.write_bytes(kit.key_pem + b"\n" + kit.cert_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=kit.ca_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pair)
    return context


def raw_send(sock: ssl.SSLSocket, size: int) -> None:
    for _ in range(-(-size // CHUNK)):
        sock.sendall(BLOCK)


def raw_receive(sock: ssl.SSLSocket, size: int) -> None:
    space, left = bytearray(CHUNK), -(-size // CHUNK) * CHUNK
    while left:
        left -= sock.recv_into(space)


def raw_serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    """A thread for every connection; its first bytes say which way and how much."""

    def serve(plain: socket.socket) -> None:
        with context.wrap_socket(plain, server_side=True) as sock:
            way, size = sock.recv(64).decode().split()
            (raw_send if way == "down" else raw_receive)(sock, int(size))
            sock.sendall(b".") if way == "up" else sock.recv(1)

    while True:
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(plain,), daemon=True).start()


def raw_move(host: str, port: int, context: ssl.SSLContext, way: str, size: int) -> None:
    """One connection of a client."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=host) as sock:
            sock.sendall(f"{way} {size}".encode())
            (raw_receive if way == "down" else raw_send)(sock, size)
            sock.sendall(b".") if way == "down" else sock.recv(1)


# ---- the server


class Depot:
    """One model to pull, and a place for the updates of every client. ``layer``: how much of the work is done."""

    def __init__(self, scratch: Path, model: FileInfo) -> None:
        self.layer = "grpc"
        self._scratch, self._model = scratch, model
        self._files: dict[str, pb.FileRef] = {}
        self.handlers: Handlers = {PULL: self.pull, PUSH: self.push, OFFER: self.offer}

    def spool(self, client: str, digest: str) -> Path:
        return self._scratch / client / parse_digest(digest)

    async def pull(self, request: pb.PullRequest, call: Call) -> AsyncGenerator[bytes, None]:
        source = blocks(self._model.size) if self.layer in ("grpc", "digest") else read_chunks(self._model.path)
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                yield chunk

    async def offer(self, offer: pb.Offer, call: Call) -> pb.OfferReply:
        into = self.spool(call.peer.common_name, offer.file.digest)
        into.parent.mkdir(exist_ok=True)
        self._files[call.peer.common_name] = offer.file
        return pb.OfferReply(upload=call.peer.common_name, offset=part_size(into, offer.file))

    async def push(self, chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
        if self.layer in ("grpc", "digest"):
            await drain(chunks, self.layer)
        else:
            client = str(call.metadata[UPLOAD])
            file, offset = self._files[client], int(call.metadata[OFFSET])
            check = StreamCheck() if self.layer in ("checked", "durable") else None
            into = self.spool(client, file.digest)
            durable = self.layer == "durable"
            await receive(chunks, into, file, offset, check=check.feed if check else None, durable=durable)
        return pb.PushReply(accepted=True)

    def clear(self) -> None:
        for path in self._scratch.glob("*/[0-9a-f]*"):
            clear(path, self.layer)


def clear(path: Path, layer: str) -> None:
    """Make room for what arrives next."""
    if layer in AGAIN:
        give_up(path)
    elif layer == "new":
        path.unlink(missing_ok=True)
        drop_spares(path.parent)


async def blocks(size: int) -> AsyncGenerator[bytes, None]:
    for _ in range(-(-size // CHUNK)):
        yield BLOCK


async def drain(chunks: AsyncIterator[bytes], layer: str) -> None:
    hasher, loop = Hasher(), asyncio.get_running_loop()
    async for chunk in chunks:
        if layer == "digest":
            await loop.run_in_executor(None, hasher.update, chunk)


async def server(kit: Kit, scratch: Path, model: FileInfo) -> None:
    depot = Depot(scratch, model)
    context = tls(kit, scratch, server=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=raw_serve, args=(listener, context), daemon=True).start()

        async def answer(wish: dict[str, Any]) -> dict[str, Any]:
            depot.layer = wish.get("layer", depot.layer)
            depot.clear()
            return {"raw_port": listener.getsockname()[1]}

        async with open_server(kit, depot.handlers, (kit.port,), "127.0.0.1"):
            await obey(answer)


# ---- a client


class Mover:
    """A client that does what a round does: the model down, an update up; here both at once."""

    def __init__(self, kit: Kit, scratch: Path, model: FileInfo, update: FileInfo, channel: Channel) -> None:
        self._kit, self._scratch, self._model, self._update = kit, scratch, model, update
        self._channel = channel
        self._context = tls(kit, scratch, server=False)
        self._backoff = Backoff(random.Random(1))

    async def move(self, wish: dict[str, Any]) -> dict[str, Any]:
        layer, size = wish["layer"], self._model.size
        ways = wish.get("ways", ("down", "up"))
        if layer == "raw":
            host, port = self._kit.host, wish["raw_port"]
            moves = [asyncio.to_thread(raw_move, host, port, self._context, way, size) for way in ways]
        else:
            how = {"down": self._down, "up": self._up}
            moves = [how[way](layer) for way in ways]
        await asyncio.gather(*moves)
        return {}

    async def _down(self, layer: str) -> None:
        file = pb.FileRef(digest=self._model.digest, size=self._model.size)
        if layer in ("grpc", "digest"):
            async with aclosing(self._channel.stream(PULL, pb.PullRequest(file=file))) as chunks:
                await drain(chunks, layer)
            return
        into = self._scratch / "model"
        clear(into, layer)
        await pull(self._channel, file, into, self._backoff)

    async def _up(self, layer: str) -> None:
        if layer in ("grpc", "digest"):
            await self._channel.send(PUSH, blocks(self._update.size))
        else:
            await push(self._channel, self._update, pb.Offer(package=pb.Package(name="p")), self._backoff)


async def client(kit: Kit, scratch: Path, model: FileInfo, update: FileInfo) -> None:
    async with open_channel(kit) as channel:
        await obey(Mover(kit, scratch, model, update, channel).move)


def main(role: str, workspace: str, scratch: str, *files: str) -> None:
    """``files``: path, digest and size of the model, and for a client of its update."""
    named = [
        FileInfo(Path(path), digest, int(size))
        for path, digest, size in zip(files[::3], files[1::3], files[2::3], strict=True)
    ]
    kit = load_kit(Path(workspace), SystemClock().now())
    asyncio.run((server if role == "server" else client)(kit, Path(scratch), *named))


if __name__ == "__main__":
    main(*sys.argv[1:])
