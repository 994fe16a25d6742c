"""Give an uploaded job to the server or to clients, in the folder of the current run number.

``deploy FOLDER server`` or ``deploy FOLDER client [NAME...]``. An existing deployment is replaced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import SERVER, folder_name, meant

PERMISSION = "DEPLOY"
SCOPE = "training"
EXAMPLE = "my_job client site-1"
ALIASES = ("deploy_app",)


class Options(BaseOptions, frozen=True):
    """``folder``: name in the staging area; ``target`` and ``names`` as everywhere."""

    folder: str
    target: str
    names: tuple[str, ...] = ()


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    folder = folder_name(options.folder)

    async def ask(site: str) -> AsyncIterator[Row]:
        if site == SERVER:
            await desk.folders.deploy_server(folder)
            yield Text("mmar_server has been deployed.")
        else:
            await desk.folders.deploy_client(folder, site)
            yield Text("MMAR deployed.", site=site)

    async for row in desk.each(await meant(desk, options), ask):
        yield row
