"""Delete the folder ``run_N`` on the server and on every client that is logged in, and the models made in it.

Refused while a run with this number is queued or under way. Runs, rounds and metrics stay in the ledger as history;
``list_runs`` says which lost their folder. A client that is not there keeps its folder: give the command again then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.disk import remove_folder
from rondo.base.options import Options as BaseOptions
from rondo.base.site import Site
from rondo.commands._numbers import run_number
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "1"
CONFIRM = True  # a console asks before it sends this


class Options(BaseOptions, frozen=True):
    """``run_number``: an integer, 1 to 1000000000."""

    run_number: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    number = run_number(options.run_number)
    yield _told(number, await desk.folders.delete_number(number))
    clients = [client.instance for client in await desk.clients.listed()]
    async for row in desk.each(clients, lambda site: desk.visit(site, "delete_run_number", options)):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The folder of a client, and nothing else."""
    number = run_number(options.run_number)
    yield _told(number, await site.think(lambda: remove_folder(site.folder / f"run_{number}", site.name)), site.name)


def _told(number: int, gone: bool, site: str = "") -> Row:
    return Text(f"run_{number} has been deleted." if gone else f"There is no run_{number}.", site=site)
