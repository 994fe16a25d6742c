"""What the commands share that show something of one site: the server's, or a client's, by name.

``at_site`` looks, with ``rondo.base.looking`` and its neighbours: Python that reads, no shell and no other program.
Names are checked where they are typed and again at the site, which trusts nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from rondo.base.errors import RondoError
from rondo.commands.desk import Desk
from rondo.commands.rows import Problem, Row
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
