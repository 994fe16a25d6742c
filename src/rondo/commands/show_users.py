"""List the users of the authorization policy with their organisation and roles."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.commands._authz import answers
from rondo.commands.desk import Desk
from rondo.commands.rows import Row
from rondo.commands.seam import NoArguments as Options

PERMISSION = "ASK"
SCOPE = "authz"
EXAMPLE = ""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for row in answers(desk, "show_users"):
        yield row
