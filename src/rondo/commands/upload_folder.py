"""Put a job's folder into the server's staging area, checked; a folder of that name there is replaced.

The console packs and sends the folder first; what arrives here is its name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import folder_name

PERMISSION = "UPLOAD"
SCOPE = "file_transfer"
EXAMPLE = "my_job"
ALIASES = ("upload_app",)
SENDS = "folder"  # the console sends this argument's folder before it asks


class Options(BaseOptions, frozen=True):
    """``folder``: relative to the console's transfer folder, or a path."""

    folder: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    name = folder_name(options.folder)
    yield Text(f"Created folder {await desk.folders.staged(name)}")
    yield Facts({"folder": name})
