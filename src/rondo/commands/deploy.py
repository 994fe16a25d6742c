"""Give an uploaded job to the server or to clients, in the folder of the current run number.

``deploy FOLDER server`` or ``deploy FOLDER client [NAME...]``. An existing deployment is replaced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import RondoError
from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Problem, Row, Text
from rondo.commands.seam import Desk, choose, folder_name, is_server

PERMISSION = "DEPLOY"
ALIASES = ("deploy_app",)


class Options(BaseOptions, frozen=True):
    """``folder``: name in the staging area; ``target`` and ``names`` as everywhere."""

    folder: str
    target: str
    names: tuple[str, ...] = ()


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    folder = folder_name(options.folder)
    if is_server(options):
        await desk.deploy_server(folder)
        yield Text("mmar_server has been deployed.")
        return
    for name in await choose(desk, options):
        try:
            yield Text(await desk.deploy_client(folder, name), site=name)
        except RondoError as error:
            yield Problem(str(error), site=name, code=error.code)
