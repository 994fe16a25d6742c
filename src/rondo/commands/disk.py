"""Show how much room there is on the disk of each site's workspace, and what its run folders take.

``disk server``, ``disk client [NAME...]`` or ``disk all``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.room import free_bytes, in_words, size_of
from rondo.base.site import Site
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Table
from rondo.commands.seam import Target, meant

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "all"


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async for row in desk.each(await meant(desk, options), lambda site: desk.visit(site, "disk", options)):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """A line for each run folder, and one for what is free."""
    runs = await site.think(lambda: {run.name: size_of(run) for run in sorted(site.folder.glob("run_*"))})
    free = await site.think(lambda: free_bytes(site.folder))
    sizes = {**runs, "free": free}
    yield Table(["site", "what", "size"], [[site.name, what, in_words(size)] for what, size in sizes.items()])
