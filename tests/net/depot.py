"""A small server of files for tests: what it has it gives out, what it is sent it keeps, by digest."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

from rondo.base.errors import NotFound
from rondo.net.calls import Call, Handlers
from rondo.net.channel import Channel, open_channel
from rondo.net.methods import OFFER, PULL, PUSH, REGISTER
from rondo.net.part import Check, part_size
from rondo.net.retry import Backoff
from rondo.net.server import Server, open_server
from rondo.net.transfer import OFFSET, UPLOAD, read_chunks, receive
from rondo.net.tuning import Tuning
from rondo.tensors.digest import FileInfo, file_digest
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import Authority, TestKit

LOOPBACK = "127.0.0.1"


def backoff(**options: float | None) -> Backoff:
    """Short pauses, the same in every run."""
    return Backoff(random.Random(7), **{"first": 0.01, "most": 0.05, **options})  # type: ignore[arg-type]


def write_file(path: Path, size: int) -> FileInfo:
    """Reproducible content of ``size`` bytes."""
    path.write_bytes(random.Random(size).randbytes(size))
    return file_digest(path)


def ref(file: FileInfo) -> pb.FileRef:
    return pb.FileRef(digest=file.digest, size=file.size)


class Depot:
    """``handlers`` for a server. ``sent``: bytes handed out and taken in, ``offers``: how many were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.check: Callable[[], Check] | None = None
        self.offers = 0
        self.offsets: list[int] = []
        self._uploads: dict[str, pb.FileRef] = {}
        self.handlers: Handlers = {
            REGISTER: self.register, PULL: self.pull, PUSH: self.push, OFFER: self.offer,
        }  # fmt: skip

    def path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("blake3:")

    def add(self, size: int) -> FileInfo:
        """A file that can be pulled."""
        made = write_file(self.folder / "new", size)
        made.path.rename(self.path(made.digest))
        return FileInfo(self.path(made.digest), made.digest, size)

    def forget_uploads(self) -> None:
        """As after a restart."""
        self._uploads.clear()

    async def register(self, hello: pb.Hello, call: Call) -> pb.Welcome:
        return pb.Welcome(token=f"token of {call.peer.common_name}", project=hello.project)

    async def pull(self, request: pb.PullRequest, call: Call) -> AsyncGenerator[bytes, None]:
        path = self.path(request.file.digest)
        if not path.exists():
            raise NotFound("no such file", where=request.file.digest)
        async with aclosing(read_chunks(path, request.offset)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def offer(self, offer: pb.Offer, call: Call) -> pb.OfferReply:
        self.offers += 1
        path = self.path(offer.file.digest)
        if path.exists():
            return pb.OfferReply(have=True)
        upload = f"{offer.file.digest} {self.offers}"
        self._uploads[upload] = offer.file
        return pb.OfferReply(upload=upload, offset=part_size(path, offer.file))

    async def push(self, chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
        upload, offset = str(call.metadata[UPLOAD]), int(call.metadata[OFFSET])
        if upload not in self._uploads:
            raise NotFound("no such upload")
        file = self._uploads[upload]
        self.offsets.append(offset)
        check = self.check() if self.check else None
        await receive(chunks, self.path(file.digest), file, offset, check=check, durable=False)
        return pb.PushReply(accepted=True)


def serve(
    authority: Authority, handlers: Handlers, *ports: int, tuning: Tuning | None = None, host: str = "localhost"
) -> AbstractAsyncContextManager[Server]:
    """A server on the loopback interface, on ``ports`` or any free one."""
    return open_server(authority.kit("server", host), handlers, ports or (0,), LOOPBACK, tuning=tuning)


def kit_for(authority: Authority, port: int, name: str = "site") -> TestKit:
    return authority.kit(name, port=port)


@asynccontextmanager
async def linked(authority: Authority, handlers: Handlers) -> AsyncGenerator[tuple[Server, Channel], None]:
    """A server, and a channel to it."""
    async with serve(authority, handlers) as server, open_channel(kit_for(authority, server.ports[0])) as channel:
        yield server, channel
