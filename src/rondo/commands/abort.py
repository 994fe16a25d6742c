"""Stop training: of clients (the others go on), or of the server and with it of the run.

``abort client [NAME...]`` or ``abort server``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import RondoError
from rondo.commands.rows import Facts, Problem, Row, Text
from rondo.commands.seam import Desk, Target, choose, is_server

PERMISSION = "TRAIN"
ALIASES = ("abort_app",)


class Options(Target, frozen=True):
    """``target``: server or client; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    if is_server(options):
        stopped = await desk.abort_run(None)
        yield Text("Aborting the server...")
        yield Facts({"run": stopped})
        return
    for name in await choose(desk, options):
        try:
            yield Text(await desk.abort_client(name), site=name)
        except RondoError as error:
            yield Problem(str(error), site=name, code=error.code)
