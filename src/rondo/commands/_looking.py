"""What the commands share that show something of one site: the server's, or a client's, by name.

``at_site`` looks, with ``rondo.base.looking`` and its neighbours: Python that reads, no shell and no other program.
Names are checked where they are typed and again at the site, which trusts nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, BinaryIO

import msgspec

from rondo.base.errors import RondoError
from rondo.base.looking import open_file
from rondo.base.site import Site
from rondo.commands.desk import Desk
from rondo.commands.rows import Problem, Row, Text
from rondo.commands.seam import SERVER, OneSite

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]  # lines or bytes


async def look(desk: Desk, command: str, options: OneSite) -> AsyncIterator[Row]:
    """What the site answers; what goes wrong at a client, or with it, is a problem of that client."""
    try:
        async for row in desk.visit(options.target, command, options):
            yield row
    except RondoError as error:
        if options.target == SERVER:
            raise
        yield Problem(str(error), site=options.target, code=error.code)


async def show(site: Site, name: str, how: Callable[[BinaryIO], list[str]]) -> AsyncIterator[Row]:
    """What ``how`` makes of the file ``name`` of the site, in pieces."""

    def read() -> list[str]:
        with open_file(site.folder, name) as file:
            return how(file)

    for text in await site.think(read):
        yield Text(text)
