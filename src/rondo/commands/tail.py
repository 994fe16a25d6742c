"""Show the end of a file of the server or of one client: 10 lines, or as many as asked for; with -f what is added too.

``tail server FILE`` or ``tail NAME FILE``, NAME a client's instance. What may be shown: see ``cat``. ``-f`` goes on
until it is ended (Ctrl-C): whole lines, as they are written, also of a log that is turned over meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, field, structs

from rondo.base import showing
from rondo.base.following import PATIENCE, begin, follow
from rondo.base.looking import check_file, open_file
from rondo.base.site import Site
from rondo.commands._looking import Count, look
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import OneSite

PERMISSION = "VIEW"
SCOPE = "utils"
EXAMPLE = "server -n 20 log.txt"


class Options(OneSite, frozen=True):
    """``target``: server, or one client; ``file``: which one; ``lines`` (-n): how many; ``count`` (-c): so many bytes
    instead; ``follow`` (-f): go on with what is added; ``seconds`` (-s): after which a site says that there is nothing
    new, never more than half the time that clients have to answer a command; ``place`` (-p): show what came after it;
    an earlier ``-f`` that was cut off says in its facts how far it came."""

    file: str
    lines: Count = field(default=10, name="-n")
    count: Count | None = field(default=None, name="-c")
    follow: bool = field(default=False, name="-f")
    seconds: Annotated[float, Meta(gt=0, le=PATIENCE)] = field(default=PATIENCE, name="-s")
    place: str = field(default="", name="-p")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    """While it follows the site is asked again and again: each answer is a piece of news, or none after a while."""
    check_file(options.file)
    place: str | None = options.place
    seconds = min(options.seconds, await desk.house.timeout() / 2) if options.follow else options.seconds
    while place is not None:
        asked, place = structs.replace(options, place=place, seconds=seconds), None
        async for row in look(desk, "tail", asked):
            if isinstance(row, Facts) and options.follow:
                place = str(row.values["place"]) if "place" in row.values else None
            yield row


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The last lines, in pieces; those after ``place`` where one is given, as soon as there are any."""

    def read() -> list[str]:
        with open_file(site.folder, options.file) as file:
            return showing.tail(file, options.lines, options.count)

    place = ""
    if options.place:
        texts, place = await follow(site.folder, options.file, options.place, options.seconds)
    elif options.follow:
        texts, place = await site.think(lambda: begin(site.folder, options.file, options.lines, options.count))
    else:
        texts = await site.think(read)
    for text in texts:
        yield Text(text)
    if place:
        yield Facts({"place": place})
