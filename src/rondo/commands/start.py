"""Start training: the server first, then the clients.

``start server`` or ``start client [NAME...]``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from rondo.commands.desk import Desk, WhenBusy
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import SERVER, Target, meant

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "client site-1"
ALIASES = ("start_app",)


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given. ``when_busy``: while
    another run (or its validation) is under way, ``queue`` the server's or ``refuse`` it."""

    when_busy: WhenBusy = msgspec.field(default="refuse", name="--when-busy")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(site: str) -> AsyncIterator[Row]:
        if site == SERVER:
            started = await desk.runs.start(options.when_busy)
            yield Text("Server training is starting....")
            yield Facts({"run": started})
        else:
            await desk.runs.start_client(site)
            yield Text("Starting the client...", site=site)

    sites = await meant(desk, options)
    for group in (sites[: sites[0] == SERVER], sites[sites[0] == SERVER :]):  # the server first
        async for row in desk.each(group, ask):
            yield row
