"""Fetch files from the server's transfer folder, or from folders run_N, into the console's transfer folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Facts, Row, Table
from rondo.console.fetching import fetch, listed
from rondo.console.here import Here

SCOPE = "file_transfer"
MOVES = True
COMPLETES = {"file": "files", "more": "files"}


class Options(BaseOptions, frozen=True):
    """``file``: a path below the server's transfer folder, or below run_N; ``more``: others."""

    file: str
    more: tuple[str, ...] = ()


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    wanted = []
    for name in dict.fromkeys((options.file, *options.more)):
        try:
            found = await listed(here, name)
        except NotFound:
            raise NotFound(f"no such file: {name}", hint="list_files shows what there is") from None
        if len(found) != 1 or found[0]["path"].removeprefix("transfer/") != name.removeprefix("transfer/"):
            raise BadInput(f"not a file: {name}", hint="download_folder fetches a folder")
        wanted += found
    places = await fetch(here, wanted)
    yield Table(["FILE", "SIZE"], [[str(place), file["size"]] for place, file in zip(places, wanted, strict=True)])
    yield Facts({"files": [str(place) for place in places]})
