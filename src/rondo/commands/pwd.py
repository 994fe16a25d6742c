"""Show which folder is the workspace of the server or of one client.

``pwd server`` or ``pwd NAME``, NAME a client's instance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.site import Site
from rondo.commands._looking import look
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server"


class Options(OneSite, frozen=True):
    """``target``: server, or one client."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async for row in look(desk, "pwd", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """Its path."""
    yield Text(str(await site.think(site.folder.absolute)))
