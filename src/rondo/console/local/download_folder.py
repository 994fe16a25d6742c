"""Fetch a folder from the server's transfer folder, or a folder run_N, into the console's transfer folder.

What is here already is not fetched again; a file of that name with other content is replaced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.errors import NotFound
from rondo.base.options import Options as BaseOptions
from rondo.base.room import in_words
from rondo.commands.rows import Facts, Row, Text
from rondo.console.fetching import fetch, listed
from rondo.console.here import Here

SCOPE = "file_transfer"
MOVES = True


class Options(BaseOptions, frozen=True):
    """``folder``: a name in the server's transfer folder, or run_N, or a folder below one of them."""

    folder: str


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    name = options.folder.strip("/")
    try:
        files = await listed(here, options.folder)
    except NotFound:
        files = []
    if not files or [file["path"] for file in files] in ([name], [f"transfer/{name}"]):
        raise NotFound(f"no such folder: {options.folder}", hint="list_files shows what there is")
    await fetch(here, files)
    size = sum(int(file["size"]) for file in files)
    into = here.transfer_folder / name.removeprefix("transfer/")
    yield Text(f"Downloaded {len(files)} {'file' if len(files) == 1 else 'files'} ({in_words(size)}) to {into}")
    yield Facts({"folder": str(into), "files": [file["path"] for file in files]})
