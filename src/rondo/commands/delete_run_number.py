"""Delete the folder ``run_N`` on the server and on every client that is logged in, and the models made in it.

Refused while a run with this number is queued or under way. Runs, rounds and metrics stay in the ledger as history;
``list_runs`` says which lost their folder. A client that is not there keeps its folder: give the command again then.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from rondo.base.errors import Conflict, MachineFault
from rondo.base.options import Options as BaseOptions
from rondo.base.site import Site
from rondo.commands._numbers import run_number
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import SERVER

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "1"
CONFIRM = True  # a console asks before it sends this


class Options(BaseOptions, frozen=True):
    """``run_number``: an integer, 1 to 1000000000."""

    run_number: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    await desk.folders.delete_number(run_number(options.run_number))
    sites = [SERVER, *(client.instance for client in await desk.clients.listed())]
    async for row in desk.each(sites, lambda site: desk.visit(site, "delete_run_number", options)):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The folder there, and nothing else."""
    number = run_number(options.run_number)
    gone = await site.think(lambda: _remove(site.folder / f"run_{number}", site.name))
    where = "" if site.name == SERVER else site.name
    yield Text(f"run_{number} has been deleted." if gone else f"There is no run_{number}.", site=where)


def _remove(folder: Path, name: str) -> bool:
    """Whether it was there. It is renamed first: another client in this workspace may be asked the same just now."""
    if folder.is_symlink():
        raise Conflict(f"{folder.name} is a link", hint="remove it, and what it leads to, by hand")
    hidden = folder.with_name(f".{folder.name}.{name}.gone")
    try:
        if hidden.exists():  # of one that was killed
            shutil.rmtree(hidden)
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MachineFault(f"{folder.name} is not gone altogether: {error}", hint="delete_run_number again") from None
    return True
