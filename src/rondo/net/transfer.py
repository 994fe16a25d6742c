"""A file moves down (``pull``) or up (``push``): 1 MiB chunks, an offset to resume from, a digest at the end.

The receiver writes to ``<name>.part`` and hashes while bytes pass; the file gets its name only when it is whole and
its digest is right. A broken transfer goes on where it stopped, also in another process: what is there is hashed
again first. Disk and hashing happen in threads, one step ahead of the network or behind it, never in the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

from rondo.base.errors import BadInput, Conflict, NotFound, ProtocolBroken, Refused, RondoError, Unreachable, by_code
from rondo.net.channel import Channel
from rondo.net.methods import OFFER, PULL, PUSH
from rondo.net.part import Check, Part, part_size
from rondo.net.retry import Backoff
from rondo.net.tuning import CHUNK
from rondo.tensors.digest import FileInfo, file_digest
from rondo.wire import rondo_pb2 as pb

UPLOAD, OFFSET = "rondo-upload", "rondo-offset"  # metadata of Push: the id from OfferReply, and where it starts

Progress = Callable[[int, int], None]  # bytes so far, bytes in all


async def read_chunks(path: Path, offset: int = 0, progress: Progress | None = None) -> AsyncGenerator[bytes, None]:
    """The bytes of ``path`` from ``offset``. Raises ``BadInput`` for an offset behind its end."""
    loop = asyncio.get_running_loop()
    with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
        size = file.seek(0, 2)
        if not 0 <= offset <= size:
            raise BadInput(f"byte {offset} of a file of {size} bytes was asked for", where=path.name)
        file.seek(offset)
        ahead = loop.run_in_executor(None, file.read, CHUNK)
        try:
            while chunk := await ahead:
                ahead = loop.run_in_executor(None, file.read, CHUNK)
                yield chunk
                offset += len(chunk)
                if progress:
                    progress(offset, size)
        finally:
            await ahead


async def receive(
    chunks: AsyncIterator[bytes],
    into: Path,
    file: pb.FileRef,
    *,
    offset: int,
    check: Check | None = None,
    durable: bool = False,
) -> FileInfo:
    """The server's end of Push: ``chunks`` from ``offset`` on complete the file ``into``.

    Raises ``Unreachable`` when the bytes end early (they are kept), ``Conflict`` when the file is not at ``offset``
    or somebody else is writing it, ``ProtocolBroken`` for too many bytes or another digest, what ``check`` raises,
    and ``NoSpace``.
    """
    async with Part(into, file, check=check, durable=durable) as part:
        if part.done != offset:
            raise Conflict(f"{part.done} bytes are here, not {offset}", where=into.name, hint="offer the file again")
        await _fill(part, chunks)
        return await part.finish()


async def pull(
    channel: Channel, file: pb.FileRef, into: Path, backoff: Backoff, progress: Progress | None = None
) -> FileInfo:
    """Fetch ``file`` to ``into``, going on from what is there, trying again for as long as ``backoff`` has patience.

    Raises ``GaveUp``, ``NotFound`` and whatever else the server answers, ``ProtocolBroken`` for wrong content,
    ``Conflict`` while another task or process fetches the same file to the same place, and ``NoSpace``.
    """
    if await asyncio.to_thread(_is_here, into, file):
        return FileInfo(into, file.digest, file.size)
    resuming = part_size(into) > 0
    try:
        return await _pull(channel, file, into, backoff, progress)
    except ProtocolBroken:
        if not resuming:
            raise
    return await _pull(channel, file, into, backoff, progress)  # what was here had been damaged; it is gone now


def _is_here(into: Path, file: pb.FileRef) -> bool:
    return into.exists() and file_digest(into).digest == file.digest


async def _pull(
    channel: Channel, file: pb.FileRef, into: Path, backoff: Backoff, progress: Progress | None
) -> FileInfo:
    tries = backoff.tries()
    async with Part(into, file) as part:
        while part.done < file.size:
            offset = part.done
            try:
                async with aclosing(channel.stream(PULL, pb.PullRequest(file=file, offset=offset))) as chunks:
                    await _fill(part, chunks, progress)
            except Unreachable as error:
                if part.done > offset:
                    tries.progressed()
                await tries.pause(error)
        return await part.finish()


async def _fill(part: Part, chunks: AsyncIterator[bytes], progress: Progress | None = None) -> None:
    """Append ``chunks``; each is written and hashed while the next one is on its way."""
    loop = asyncio.get_running_loop()
    writing = loop.run_in_executor(None, part.append, b"")
    try:
        async for chunk in chunks:
            await writing
            writing = loop.run_in_executor(None, part.append, chunk)
            if progress:
                progress(part.done, part.size)
    finally:
        await writing
    if part.done < part.size:
        raise Unreachable(f"the transfer ended after {part.done} of {part.size} bytes", where=part.name)
    if progress:
        progress(part.done, part.size)


async def push(
    channel: Channel, file: FileInfo, offer: pb.Offer, backoff: Backoff, progress: Progress | None = None
) -> None:
    """Offer ``file`` for the purpose that ``offer`` states, and send what the server does not have of it.

    Returns when the server has taken it. Raises the server's refusal (``Refused``, ``Conflict``, ``BadInput``, ...;
    a reason without a class of its own is ``Refused`` with the reason's code as ``detail``), and ``GaveUp``.
    """
    wanted = pb.Offer()
    wanted.CopyFrom(offer)
    wanted.file.CopyFrom(pb.FileRef(digest=file.digest, size=file.size))
    tries, reached = backoff.tries(), 0
    while True:
        try:
            offered = await channel.call(OFFER, wanted)
            if offered.offset > reached:
                tries.progressed()
                reached = offered.offset
            if not (offered.have or offered.refused):
                answer = await _upload(channel, file.path, offered, progress)
                offered = pb.OfferReply(have=answer.accepted, refused=answer.refused, code=answer.code)
            break
        except Unreachable as error:
            await tries.pause(error)
    if not offered.have:
        refusal = by_code(offered.code, offered.refused or "not accepted")
        raise Refused(refusal.what, detail=offered.code) if type(refusal) is RondoError else refusal


async def _upload(channel: Channel, path: Path, offered: pb.OfferReply, progress: Progress | None) -> pb.PushReply:
    """Raises ``Unreachable`` for all that another offer may mend."""
    metadata = ((UPLOAD, offered.upload), (OFFSET, str(offered.offset)))
    try:
        return await channel.send(PUSH, read_chunks(path, offered.offset, progress), metadata=metadata)
    except (NotFound, Conflict) as error:  # the server has been restarted, or the connection before is not yet gone
        raise Unreachable(error.what, where=channel.where, detail=error.hint) from error
    except ProtocolBroken as error:  # what the server had of it was damaged; it has nothing of it now
        if offered.offset == 0:
            raise
        raise Unreachable(error.what, where=channel.where) from error
