"""Somebody with a real kit who does not play fair: real TLS and calls, but what is said and sent is up to the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from rondo.base import rooms
from rondo.base.errors import RondoError
from rondo.net import methods
from rondo.net.channel import Channel, open_channel
from rondo.net.errors import refusal
from rondo.net.kits import read_kit
from rondo.net.transfer import OFFSET, UPLOAD
from rondo.pki.kit import Kit
from rondo.pki.vouchers import vouch
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb

Arrays = Mapping[str, Any]
MIB = 1 << 20
SOON = 30.0  # seconds within which the server has answered


class Stranger:
    """Logged in with the kit in ``workspace``, as a client or an admin."""

    def __init__(self, channel: Channel, instance: str, kit: Kit) -> None:
        self.kit = kit
        self.channel = channel
        self.instance = instance
        self.run = 0

    # ---- a client that works as it should, up to the point where it lies

    async def take_part(self, run: int) -> None:
        """Wait to be invited to ``run``, and say that the code is prepared."""
        while True:
            order = await self._ordered(pb.Holding(phase="idle", round=-1, patience=SOON))
            if order.HasField("engage") and order.engage.run == run:
                break
        self.run = run
        await self._ordered(pb.Holding(run=run, phase="preparing", round=-1))
        await self.channel.call(methods.REPORT, pb.Report(run=run, round=-1, prepared=pb.Prepared()), timeout=SOON)

    async def work(self) -> pb.Work:
        """The task of the round that is open, as soon as there is one."""
        while True:
            order = await self._ordered(pb.Holding(run=self.run, phase="ready", round=-1, patience=SOON))
            if order.HasField("work"):
                return order.work

    async def _ordered(self, holding: pb.Holding) -> pb.Order:
        return await self.channel.call(methods.WAIT, holding, timeout=2 * SOON)

    async def pull(self, file: pb.FileRef, offset: int = 0) -> bytes:
        """A file of the server."""
        request = pb.PullRequest(file=file, offset=offset)
        return b"".join([chunk async for chunk in self.channel.stream(methods.PULL, request, timeout=SOON)])

    # ---- files, true or not

    async def offer(
        self, content: bytes, *, size: int = -1, digest: str = "", along: bytes = b"", **claim: Any
    ) -> pb.OfferReply:
        """Offer ``content`` as the update that ``claim`` says it is; ``size`` and ``digest`` may be others than its.
        ``along``: what comes with the offer, as small files do."""
        size = len(content) if size < 0 else size
        file = pb.FileRef(digest=digest or digest_of(content), size=size, content=along)
        said = {"run": self.run, "kind": "weights", "samples": 1.0, **claim}
        return await self.channel.call(methods.OFFER, pb.Offer(file=file, update=pb.Claim(**said)), timeout=SOON)

    async def push(self, upload: str, *chunks: bytes, offset: int | str = 0) -> pb.PushReply:
        async def parts() -> Any:
            for chunk in chunks:
                yield chunk

        about = ((UPLOAD, upload), (OFFSET, str(offset)))
        return await self.channel.send(methods.PUSH, parts(), timeout=SOON, metadata=about)

    async def send(self, content: bytes, **claim: Any) -> None:
        """Offer and push. Raises the refusal, whichever way it comes."""
        await self.carry(await self.offer(content, **claim), content)

    async def smuggle(self, name: str, content: bytes, voucher: str | None = None) -> None:
        """Send ``content`` as the package ``name``, which no console has looked at. Raises the refusal.

        ``voucher``: the signature under it, else one's own.
        """
        file = pb.FileRef(digest=digest_of(content), size=len(content))
        signed = self.signs(file.digest) if voucher is None else voucher
        offer = pb.Offer(file=file, package=pb.Package(name=name, voucher=signed))
        await self.carry(await self.channel.call(methods.OFFER, offer, timeout=SOON), content)

    def signs(self, digest: str) -> str:
        return vouch(digest, self.kit.project, self.kit.cert_pem, self.kit.key_pem)

    async def carry(self, offered: pb.OfferReply, content: bytes) -> None:
        """Send what the server wants of ``content``."""
        answer = pb.PushReply(accepted=offered.have, refused=offered.refused, code=offered.code)
        if not (offered.have or offered.refused):
            starts = range(offered.offset, len(content), MIB)
            chunks = [content[start : start + MIB] for start in starts]
            answer = await self.push(offered.upload, *chunks, offset=offered.offset)
        if not answer.accepted:
            raise refusal(answer.code, answer.refused)

    async def command(self, name: str, *args: str) -> None:
        """One command, as an admin, without the console's own checks."""
        request = pb.CommandRequest(name=name, args=args)
        async for _ in self.channel.stream(methods.COMMAND, request, timeout=SOON):
            pass


@asynccontextmanager
async def stranger(workspace: Path, role: str = "client") -> AsyncIterator[Stranger]:
    """Log in with the kit in ``workspace``; say goodbye at the end."""
    kit = read_kit(workspace)
    async with open_channel(kit) as channel:
        able = [f"codec:{name}" for name in rooms.names("rondo.codecs")]
        hello = pb.Hello(project=kit.project, name=kit.name, role=role, protocol=PROTOCOL, version="test")
        hello.capabilities.extend(able)
        welcome = await channel.call(methods.REGISTER, hello, timeout=SOON)
        channel.token = welcome.token
        yield Stranger(channel, welcome.instance, kit)
        await channel.call(methods.QUIT, pb.Quit(reason="quit"), timeout=SOON)


async def refused(answer: Awaitable[Any]) -> RondoError:
    """The error that the answer is."""
    try:
        got = await answer
    except RondoError as error:
        return error
    raise AssertionError(f"was not refused: {got!r}")


def digest_of(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def tensors(arrays: Arrays) -> bytes:
    """A sound file."""
    from safetensors.numpy import save

    return save({name: np.asarray(array) for name, array in arrays.items()})


def arrays_of(content: bytes) -> dict[str, Any]:
    """What is in a sound file."""
    from safetensors.numpy import load

    return dict(load(content))


def with_header(content: bytes, header: Mapping[str, Any] | bytes) -> bytes:
    """The data of a sound file under another header."""
    length = int.from_bytes(content[:8], "little")
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def header_of(content: bytes) -> dict[str, Any]:
    """The header of a sound file."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header
