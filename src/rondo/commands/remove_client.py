"""Drop clients from the server's list, at once and without asking them: those that are gone and do not come back.

Nothing is done at the client: one that still lives logs in again at its next call. ``shutdown client`` ends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import choose

PERMISSION = "OPERATE"
SCOPE = "sys"
EXAMPLE = "site-1"
CONFIRM = True  # a console asks before it sends this


class Options(BaseOptions, frozen=True):
    """``names``: client instances, at least one."""

    names: tuple[str, ...]


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        await desk.clients.remove(site)
        yield Text("Remove the client...", site=site)

    async for row in desk.each(await choose(desk, options.names), ask):
        yield row
