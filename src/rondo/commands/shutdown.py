"""End client processes, or the server once no client is left. Their supervisors do not start them again.

``shutdown client [NAME...]`` or ``shutdown server``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import SERVER, Target, meant

PERMISSION = "OPERATE"
SCOPE = "sys"
EXAMPLE = "client site-1"
CONFIRM = True  # a console asks before it sends this


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        if site == SERVER:
            await desk.house.stop()
            yield Text("Shutdown the server...")
            yield Facts({"stopped": SERVER})
        else:
            await desk.clients.leave(site, "shutdown")
            yield Text("Shutdown the client...", site=site)

    sites = await meant(desk, options)
    for group in (sites[sites[0] == SERVER :], sites[: sites[0] == SERVER]):  # the server last
        async for row in desk.each(group, ask):
            yield row
