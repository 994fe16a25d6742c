"""End client processes, or the server once no client is left. Their supervisors do not start them again.

``shutdown client [NAME...]`` or ``shutdown server``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import RondoError
from rondo.commands.rows import Problem, Row, Text
from rondo.commands.seam import Desk, Target, choose, is_server

PERMISSION = "OPERATE"
CONFIRM = True  # a console asks before it sends this


class Options(Target, frozen=True):
    """``target``: server or client; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for name in ["server"] if is_server(options) else await choose(desk, options):
        try:
            yield Text(await desk.shut_down(name), site="" if name == "server" else name)
        except RondoError as error:
            if name == "server":
                raise
            yield Problem(str(error), site=name, code=error.code)
