"""Start client processes again, or the server and with it every client: their supervisors (``sub_start.sh``) do it.

``restart client [NAME...]`` or ``restart server``. A client comes back with a new token; the server goes on with its
runs. Where no supervisor runs, the process ends with exit code 75 and nobody starts it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import SERVER, Target, meant

PERMISSION = "OPERATE"
SCOPE = "sys"
EXAMPLE = "client site-1"
CONFIRM = True  # a console asks before it sends this
WITH_CLIENTS = True


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        if site == SERVER:
            await desk.house.restart()
            yield Text("Restart the server...")
        else:
            await desk.clients.leave(site, "restart")
            yield Text("Restart the client...", site=site)

    sites = await meant(desk, options)
    for group in (sites[sites[0] == SERVER :], sites[: sites[0] == SERVER]):  # the server last
        async for row in desk.each(group, ask):
            yield row
