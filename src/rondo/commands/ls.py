"""List files and folders of the server's workspace or of one client's.

``ls server [FILE...]`` or ``ls NAME [FILE...]``, NAME a client's instance; without FILE the workspace itself. One name
a line; links are shown, and not followed. At most 10,000 names.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from msgspec import field

from rondo.base.looking import MOST_ENTRIES, Entry, check_name, listing
from rondo.base.showing import Bounds, texts
from rondo.base.site import Site
from rondo.commands._looking import look
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server -l"


class Options(OneSite, frozen=True):
    """``target``: server, or one client; ``hidden`` (-a): also names that begin with a dot; ``long`` (-l): rights,
    bytes and the time of the last change (UTC); ``by_time`` (-t): newest first; ``by_size`` (-S): largest first;
    ``deep`` (-R): folders below, too; ``read`` (-u): take for the time when it was last read; ``files``: which ones, if
    not the whole workspace."""

    hidden: bool = field(default=False, name="-a")
    long: bool = field(default=False, name="-l")
    by_time: bool = field(default=False, name="-t")
    by_size: bool = field(default=False, name="-S")
    deep: bool = field(default=False, name="-R")
    read: bool = field(default=False, name="-u")
    files: tuple[str, ...] = ()


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for name in options.files:
        check_name(name)
    async for row in look(desk, "ls", options):
        yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """Names, in pieces."""

    def read() -> list[str]:
        listed = [
            one
            for name in options.files or (".",)
            for one in listing(site.folder, name, hidden=options.hidden, deep=options.deep)
        ]
        return texts(_lines(listed, options), Bounds(), lambda: f"at most {MOST_ENTRIES} names are shown at once")

    for text in await site.think(read):
        yield Text(text)


def _lines(listed: list[tuple[str, list[Entry]]], options: Options) -> Iterator[str]:
    """Files that were named first, then folders; these with their names above where there are several things."""
    for number, (folder, entries) in enumerate(sorted(listed, key=lambda one: one[0] != "")):
        if folder and len(listed) > 1:
            yield f"\n{folder}:\n" if number else f"{folder}:\n"
        for entry in sorted(entries, key=lambda entry: _order(entry, options)):
            yield f"{_long(entry, options)}\n" if options.long else f"{entry.name}\n"


def _time(entry: Entry, options: Options) -> float:
    return entry.read if options.read else entry.changed


def _order(entry: Entry, options: Options) -> tuple[float, str]:
    value = entry.size if options.by_size else _time(entry, options) if options.by_time else 0
    return -value, entry.name


def _long(entry: Entry, options: Options) -> str:
    at = datetime.fromtimestamp(_time(entry, options), UTC)
    return f"{stat.filemode(entry.mode)} {entry.size:>12} {at:%Y-%m-%d %H:%M:%S} {entry.name}"
