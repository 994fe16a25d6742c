"""List the rights that a role may have, with their defaults and what each presupposes."""

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
    for row in answers(desk, "show_rights"):
        yield row
