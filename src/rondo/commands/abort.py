"""Stop training: of clients (the others go on), or of the server and with it of the run.

``abort client [NAME...]`` or ``abort server``.
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


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        if site == SERVER:
            stopped = await desk.runs.abort(None)
            yield Text("Aborting the server...")
            yield Facts({"run": stopped})
        else:
            await desk.runs.abort_client(site)
            yield Text("Aborting the client...", site=site)

    async for row in desk.each(await meant(desk, options), ask):
        yield row
