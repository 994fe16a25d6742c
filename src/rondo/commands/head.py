"""Show the beginning of a file of the server or of one client: 10 lines, or as many as asked for.

``head server FILE`` or ``head NAME FILE``, NAME a client's instance. What may be shown: see ``cat``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import field

from rondo.base import showing
from rondo.base.looking import check_file
from rondo.base.site import Site
from rondo.commands._looking import Count, look, show
from rondo.commands.desk import Desk
from rondo.commands.rows import Row
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server -n 20 log.txt"


class Options(OneSite, frozen=True):
    """``target``: server, or one client; ``file``: which one; ``lines`` (-n): how many; ``count`` (-c): so many bytes
    instead."""

    file: str
    lines: Count = field(default=10, name="-n")
    count: Count | None = field(default=None, name="-c")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    check_file(options.file)
    async for row in look(desk, "head", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The first lines, in pieces."""
    async for row in show(site, options.file, lambda file: showing.head(file, options.lines, options.count)):
        yield row
