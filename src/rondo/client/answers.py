"""Answers of this site to an admin's commands, asked through the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from rondo.base.errors import NotFound, ProtocolBroken
from rondo.base.site import Site
from rondo.client.audit import Asked
from rondo.client.fetching import fetch_job
from rondo.client.gate import Parcel, see_answered
from rondo.client.place import Place
from rondo.client.policy import DEPLOY
from rondo.commands import seam
from rondo.commands.rows import Row
from rondo.net.channel import Channel
from rondo.net.retry import Backoff
from rondo.wire import rondo_pb2 as pb


def only_looks(name: str) -> bool:
    """Does the command ``name`` change nothing at a site? Otherwise it is not done for an admin who waits no more."""
    try:
        return str(seam.find(name).PERMISSION) == "VIEW"
    except NotFound:
        return False


class Answers:
    """What this site does when it is asked."""

    def __init__(self, channel: Channel, backoff: Backoff) -> None:
        self._channel = channel
        self._backoff = backoff

    async def rows(self, place: Place, name: str, args: Sequence[str], asked: Asked) -> list[Row]:
        """Raises what went wrong, ``SiteRefused`` for a command that this site does not answer, ``ProtocolBroken`` for
        one that it does not know."""
        see_answered(place, name)
        if name == DEPLOY and len(args) == 5:
            await self._deploy(place, args, asked)
            return []
        return [row async for row in _at_site(Site(place.instance, place.folder), name, args)]

    async def _deploy(self, place: Place, args: Sequence[str], asked: Asked) -> None:
        number, _, digest, size, voucher = args
        if not (number.isdecimal() and size.isdecimal()):
            raise ProtocolBroken(f"run {number[:20]!r} with a package of {size[:20]!r} bytes")
        parcel = Parcel(pb.FileRef(digest=digest, size=int(size)), voucher, asked)
        await fetch_job(self._channel, parcel, place, int(number), self._backoff)


def _at_site(site: Site, name: str, args: Sequence[str]) -> AsyncIterator[Row]:
    unknown = ProtocolBroken(f"this client cannot {name!r}", hint="its Rondo is older than the server's")
    try:
        module = seam.find(name)
    except NotFound:
        raise unknown from None
    if not hasattr(module, "at_site") or len(args) != 1:
        raise unknown
    answers: AsyncIterator[Row] = module.at_site(site, seam.unpack(module, args[0]))
    return answers
