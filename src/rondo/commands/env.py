"""Show the environment of the server's program or of one client's; secrets are masked.

``env server`` or ``env NAME``, NAME a client's instance. Masked is the value of every variable whose name has KEY,
TOKEN, PASS, PWD, SECRET, CREDENTIAL, AUTH, PRIVATE, COOKIE or SESSION in it, and of a URL what stands before its @.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.site import Site
from rondo.base.surroundings import environment
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
    async for row in look(desk, "env", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """A line for each variable."""
    yield Text("\n".join(environment()))
