"""List the files that can be downloaded: what has been uploaded, and what is in the folders run_N.

``list_files`` for all that was uploaded, ``list_files my_job``, ``list_files run_1``. At most 10,000 files; hidden ones
and links are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from msgspec import field

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Table

PERMISSION = "VIEW"
SCOPE = "file_transfer"
EXAMPLE = "-d"


class Options(BaseOptions, frozen=True):
    """``digests`` (-d): read each file and show its digest; ``path``: below the transfer folder, or run_N/..."""

    digests: bool = field(default=False, name="-d")
    path: str = ""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    files = await desk.folders.files(options.path, options.digests)
    head = ["FILE", "SIZE", "DIGEST"] if options.digests else ["FILE", "SIZE"]
    yield Table(head, [[file.path, file.size, file.digest][: len(head)] for file in files])
    yield Facts({"folder": await desk.folders.transfer(), "files": [msgspec.to_builtins(file) for file in files]})
