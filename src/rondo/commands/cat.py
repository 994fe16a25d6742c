"""Show a file of the server or of one client.

``cat server FILE`` or ``cat NAME FILE``, NAME a client's instance. FILE is relative to the site's workspace; shown are
.txt .log .json .csv .sh .config .py, never keys or tokens. Links are not followed. At most a megabyte is shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO

from msgspec import field

from rondo.base import showing
from rondo.base.looking import check_file
from rondo.base.site import Site
from rondo.commands._looking import look, show
from rondo.commands.desk import Desk
from rondo.commands.rows import Row
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server -n log.txt"


class Options(OneSite, frozen=True):
    """``target``: server, or one client; ``file``: which one; ``number`` (-n): number the lines; ``number_filled``
    (-b): only those that are not empty; ``squeeze`` (-s): of several empty lines show one; ``tabs`` (-T): as ^I."""

    file: str
    number: bool = field(default=False, name="-n")
    number_filled: bool = field(default=False, name="-b")
    squeeze: bool = field(default=False, name="-s")
    tabs: bool = field(default=False, name="-T")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    check_file(options.file)
    async for row in look(desk, "cat", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The file, in pieces."""

    def read(file: BinaryIO) -> list[str]:
        return showing.cat(
            file,
            number=options.number,
            number_filled=options.number_filled,
            squeeze=options.squeeze,
            tabs=options.tabs,
        )

    async for row in show(site, options.file, read):
        yield row
