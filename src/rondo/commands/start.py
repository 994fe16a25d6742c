"""Start training: the server first, then the clients.

``start server`` or ``start client [NAME...]``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import RondoError
from rondo.commands.rows import Facts, Problem, Row, Text
from rondo.commands.seam import Desk, Target, choose, is_server

PERMISSION = "TRAIN"
ALIASES = ("start_app",)


class Options(Target, frozen=True):
    """``target``: server or client; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    if is_server(options):
        started = await desk.start_server()
        yield Text("Server training is starting....")
        yield Facts({"run": started})
        return
    for name in await choose(desk, options):
        try:
            yield Text(await desk.start_client(name), site=name)
        except RondoError as error:
            yield Problem(str(error), site=name, code=error.code)
