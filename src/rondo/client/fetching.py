"""Fetches what the server has for this site, where there is room for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rondo.base.room import free_bytes, see_it_fits, still_to_come
from rondo.client.sweeping import PACKAGES
from rondo.jobs.unpacked import is_unpacked, unpack_once
from rondo.net.channel import Channel
from rondo.net.retry import Backoff
from rondo.net.transfer import pull
from rondo.tensors.digest import parse_digest
from rondo.wire import rondo_pb2 as pb

HINT = "free space at this site"


async def fetch_job(channel: Channel, package: pb.FileRef, cache: Path, code: Path, backoff: Backoff) -> None:
    """Make the folder ``code`` the content of ``package``; what is there already is not fetched again.

    The archive is gone afterwards, a part of one stays to be gone on with. Raises what ``pull`` and ``unpack`` raise,
    and ``NoSpace`` before anything is fetched that would not fit.
    """
    if await asyncio.to_thread(is_unpacked, package.digest, code):
        return
    archive = cache / PACKAGES / parse_digest(package.digest)
    archive.parent.mkdir(parents=True, exist_ok=True)
    see_room(archive, package.size, package.size, "this job, packed and unpacked,")
    await pull(channel, package, archive, backoff)
    try:
        await asyncio.to_thread(unpack_once, archive, package.digest, code)
    finally:
        archive.unlink(missing_ok=True)


def see_room(into: Path, size: int, more: int, what: str) -> None:
    """Raises ``NoSpace`` where what is missing of the ``size`` bytes of ``into``, and ``more``, would not fit."""
    see_it_fits(into.parent, still_to_come(into, size) + more, free_bytes(into.parent), what, HINT)
