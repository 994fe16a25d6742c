"""Show the lines of a file of the server or of one client in which a pattern is found.

``grep server PATTERN FILE`` or ``grep NAME PATTERN FILE``, NAME a client's instance. What may be shown: see ``cat``.
PATTERN is a regular expression of ``. [a-z] [^a-z] ^ $ | ( ) * + ? {m,n} \\d \\w \\s \\D \\W \\S``; another sign after
a ``\\`` stands for itself; put it in quotes. It never takes longer than the file is long: there are no back references
and no looking around. A line of more than 8,192 bytes is searched in parts. After four seconds the search ends, and
says how far it came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO

from msgspec import field

from rondo.base import showing
from rondo.base.looking import check_file
from rondo.base.pattern import Pattern
from rondo.base.site import Site
from rondo.commands._looking import look, show
from rondo.commands.desk import Desk
from rondo.commands.rows import Row
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server -n 'a|ERROR' log.txt"


class Options(OneSite, frozen=True):
    """``target``: server, or one client; ``pattern``: a regular expression; ``file``: which one; ``number`` (-n): show
    the number of the line; ``ignore_case`` (-i): a and A are the same; ``offset`` (-b): show how many bytes are before
    the line."""

    pattern: str
    file: str
    number: bool = field(default=False, name="-n")
    ignore_case: bool = field(default=False, name="-i")
    offset: bool = field(default=False, name="-b")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    check_file(options.file)
    Pattern(options.pattern, ignore_case=options.ignore_case)  # what is no pattern is told before anybody is asked
    async for row in look(desk, "grep", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The lines, in pieces."""

    def found(file: BinaryIO) -> list[str]:
        pattern = Pattern(options.pattern, ignore_case=options.ignore_case)
        return showing.grep(file, pattern, number=options.number, offset=options.offset)

    async for row in show(site, options.file, found):
        yield row
