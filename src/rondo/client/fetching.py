"""Fetches what the server has for this site, where there is room for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rondo.base.room import free_bytes, see_it_fits, still_to_come
from rondo.client.gate import Parcel, admit, decided
from rondo.client.place import Place
from rondo.client.policy import SitePolicy
from rondo.client.sweeping import PACKAGES
from rondo.jobs.unpacked import is_unpacked, unpack_once
from rondo.net.channel import Channel
from rondo.net.retry import Backoff
from rondo.net.transfer import pull
from rondo.tensors.digest import parse_digest

HINT = "free space at this site"


async def fetch_job(channel: Channel, parcel: Parcel, place: Place, number: int, backoff: Backoff) -> SitePolicy:
    """Make the code of run ``number`` the content of ``parcel``; what is there already is not fetched again.

    Returns the policy by which it was let in. The archive is gone afterwards, a part of one stays to be gone on with.
    Raises ``SiteRefused`` before anything is fetched or unpacked that may not come in, what ``pull`` and ``unpack``
    raise, and ``NoSpace`` before anything is fetched that would not fit.
    """
    with place.diary.deciding(parcel.asked, f"package {parcel.file.digest}"):
        return await _fetch(channel, parcel, place, place.code(number), backoff)


async def _fetch(channel: Channel, parcel: Parcel, place: Place, code: Path, backoff: Backoff) -> SitePolicy:
    package = parcel.file
    admitted = await asyncio.to_thread(admit, place, parcel)

    def see(folder: Path) -> None:
        decided(lambda: admitted.see_content(folder))

    if await asyncio.to_thread(is_unpacked, package.digest, code):
        await asyncio.to_thread(see, code)
        return admitted.policy
    archive = place.cache / PACKAGES / parse_digest(package.digest)
    archive.parent.mkdir(parents=True, exist_ok=True)
    see_room(archive, package.size, package.size, "this job, packed and unpacked,")
    await pull(channel, package, archive, backoff)
    try:
        await asyncio.to_thread(unpack_once, archive, package.digest, code, see)
    finally:
        archive.unlink(missing_ok=True)
    return admitted.policy


def see_room(into: Path, size: int, more: int, what: str) -> None:
    """Raises ``NoSpace`` where what is missing of the ``size`` bytes of ``into``, and ``more``, would not fit."""
    see_it_fits(into.parent, still_to_come(into, size) + more, free_bytes(into.parent), what, HINT)
