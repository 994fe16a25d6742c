"""A file moves down (``pull``) or up (``push``): 1 MiB chunks, an offset to resume from, a digest at the end.

What has arrived lies in ``<name>.part`` (see ``rondo.net.part``) and counts only when it is whole and its digest
right; until then a broken transfer goes on where it stopped, also in another process. Disk and hashing are for threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from io import FileIO
from pathlib import Path

from rondo.base.errors import BadInput, Conflict, LedgerBusy, NotFound, ProtocolBroken, Unreachable
from rondo.base.room import pieces
from rondo.net.channel import Channel
from rondo.net.errors import refusal
from rondo.net.methods import OFFER, PULL, PUSH
from rondo.net.part import Check, Part, is_whole, keep, part_size
from rondo.net.retry import Backoff, Tries
from rondo.net.tuning import CHUNK, SMALL
from rondo.tensors.digest import FileInfo
from rondo.wire import rondo_pb2 as pb

UPLOAD, OFFSET = "rondo-upload", "rondo-offset"  # metadata of Push: the id from OfferReply, and where it starts
_AGAIN = (Unreachable, LedgerBusy)  # it will be better later

Progress = Callable[[int, int], None]  # bytes so far, bytes in all


async def read_chunks(path: Path, offset: int = 0, progress: Progress | None = None) -> AsyncGenerator[bytes, None]:
    """The bytes of ``path`` from ``offset``. Raises ``BadInput`` for an offset behind its end."""
    loop = asyncio.get_running_loop()
    file, size, chunk = await loop.run_in_executor(None, _begin, path, offset)
    with file:
        while chunk:
            offset += len(chunk)
            ahead = loop.run_in_executor(None, file.read, CHUNK) if offset < size else None
            try:
                yield chunk
                if progress:
                    progress(offset, size)
            finally:
                chunk = await ahead if ahead else b""


def _begin(path: Path, offset: int) -> tuple[FileIO, int, bytes]:
    """The open file, its size, and its first chunk from ``offset``: all that there is of many."""
    file = path.open("rb", buffering=0)
    size = file.seek(0, 2)
    if not 0 <= offset <= size:
        file.close()
        raise BadInput(f"byte {offset} of a file of {size} bytes was asked for", where=path.name)
    file.seek(offset)
    return file, size, file.read(CHUNK)


async def receive(
    chunks: AsyncIterator[bytes], into: Path, file: pb.FileRef, offset: int, *, check: Check | None, durable: bool
) -> FileInfo:
    """The server's end of Push: ``chunks``, from ``offset`` on, complete the file ``into`` (``durable``: see ``Part``).

    A connection that was sending it before is superseded. Raises ``Unreachable`` when the bytes end early
    (they are kept), ``Conflict`` when the file is not at ``offset`` or another connection supersedes this one,
    ``ProtocolBroken`` for too many bytes or another digest, what ``check`` raises, and ``NoSpace``.
    """
    async with Part(into, file, check=check, durable=durable, takeover=True) as part:
        if part.done != offset:
            raise Conflict(f"{part.done} bytes are here, not {offset}", where=into.name, hint="offer the file again")
        return await _fill(part, chunks)


async def pull(
    channel: Channel, file: pb.FileRef, into: Path, backoff: Backoff, progress: Progress | None = None
) -> FileInfo:
    """Fetch ``file`` to ``into``, going on from what is there, trying again for as long as ``backoff`` has patience.

    Raises ``GaveUp``, ``NotFound`` and whatever else the server answers, ``ProtocolBroken`` for wrong content,
    ``Conflict`` while another task or process fetches the same file to the same place, and ``NoSpace``.
    """
    if file.content:
        return await asyncio.to_thread(keep, into, file)
    while True:
        found = await asyncio.to_thread(_found, into, file) if any(pieces(into)) else 0
        if found is None:
            return FileInfo(into, file.digest, file.size)
        try:
            async with Part(into, file) as part:
                return await _fetch(channel, file, part, backoff.tries(), progress)
        except ProtocolBroken:
            if not found:
                raise  # otherwise what was here had been damaged, and is gone now


def _found(into: Path, file: pb.FileRef) -> int | None:
    """How much of it is here as a part; None: all of it is here, under its name."""
    return None if is_whole(into, file) else part_size(into, file)


async def _fetch(channel: Channel, file: pb.FileRef, part: Part, tries: Tries, progress: Progress | None) -> FileInfo:
    while part.done < file.size:
        offset = part.done
        try:
            async with aclosing(channel.stream(PULL, pb.PullRequest(file=file, offset=offset))) as chunks:
                return await _fill(part, chunks, progress)
        except _AGAIN as error:
            if part.done > offset:
                tries.progressed()
            await tries.pause(error)
    return await part.finish()


async def _fill(part: Part, chunks: AsyncIterator[bytes], progress: Progress | None = None) -> FileInfo:
    """Append ``chunks``; each is written and hashed while the next one is on its way, the last with what makes the
    file whole: a change of thread costs more than a small file does."""
    loop = asyncio.get_running_loop()
    writing, last, seen = None, b"", part.done
    try:
        async for chunk in chunks:
            if writing:
                await writing
            if last:  # it was not: this one is too much
                await loop.run_in_executor(None, part.append, last)
            seen += len(chunk)
            last = chunk if seen == part.size else b""
            writing = None if last else loop.run_in_executor(None, part.append, chunk)
            if progress:
                progress(seen, part.size)
    finally:
        if writing:
            await writing
    if seen < part.size:
        raise Unreachable(f"the transfer ended after {part.done} of {part.size} bytes", where=part.name)
    return await part.finish(last)


async def push(
    channel: Channel, file: FileInfo, offer: pb.Offer, backoff: Backoff, progress: Progress | None = None
) -> None:
    """Offer ``file`` for the purpose that ``offer`` states, and send what the server does not have of it, until the
    server has taken it. Raises its refusal (``Refused``, ``Conflict``, ``BadInput``, ...), ``GaveUp``."""
    wanted = pb.Offer()
    wanted.CopyFrom(offer)
    content = file.path.read_bytes() if file.size <= SMALL else b""  # less than a change of thread would cost
    wanted.file.CopyFrom(pb.FileRef(digest=file.digest, size=file.size, content=content))
    tries, reached = backoff.tries(), 0
    while True:
        try:
            offered = await channel.call(OFFER, wanted)
            if offered.offset > reached:
                tries.progressed()
                reached = offered.offset
            if not (offered.have or offered.refused):
                answer = await _upload(channel, file, offered, progress)
                offered = pb.OfferReply(have=answer.accepted, refused=answer.refused, code=answer.code)
            break
        except _AGAIN as error:
            await tries.pause(error)
    if not offered.have:
        raise refusal(offered.code, offered.refused or "not accepted")


async def _upload(channel: Channel, file: FileInfo, offered: pb.OfferReply, progress: Progress | None) -> pb.PushReply:
    """Raises ``Unreachable`` for all that another offer mends."""
    offset = min(offered.offset, file.size)
    metadata = ((UPLOAD, offered.upload), (OFFSET, str(offset)))
    try:
        return await channel.send(PUSH, read_chunks(file.path, offset, progress), metadata=metadata)
    except (NotFound, Conflict, ProtocolBroken) as error:  # restarted; still receiving; what was there was damaged
        if isinstance(error, ProtocolBroken) and not offered.offset:
            raise
        raise Unreachable(error.what, where=channel.where) from error
