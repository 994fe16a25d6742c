"""Stop training: of clients (the others go on), or of the server and with it of the run.

``abort client [NAME...]`` or ``abort server``. It takes effect at once, also while training is still starting. A client
that takes part in cross-site validation waits for that then (``cross site validation``); a second time ends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import SERVER, Target, meant

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "client site-1"
ALIASES = ("abort_app",)
TAKES_PART = ("training starting", "training started", "cross site validation")


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        await desk.runs.abort_client(site)
        yield Text("Aborting the client...", site=site)

    sites = await meant(desk, options)
    if sites[0] == SERVER:  # with its run, every client that takes part stops
        training = {line.instance for line in await desk.clients.listed() if line.status in TAKES_PART}
        stopped = await desk.runs.abort(None)
        yield Text("Aborting the server...")
        yield Facts({"run": stopped})
        for site in sites[1:]:
            if site in training:
                yield Text("Aborting the client...", site=site)
    else:
        async for row in desk.each(sites, ask):
            yield row
