"""Send files that are no jobs to the server's transfer folder, as they are; a file of that name there is replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options as BaseOptions
from rondo.commands.rows import Facts, Row, Table
from rondo.console.here import Here

SCOPE = "file_transfer"
HIDDEN = True
MOVES = True


class Options(BaseOptions, frozen=True):
    """``file``: relative to the console's transfer folder, or a path; ``more``: others."""

    file: str
    more: tuple[str, ...] = ()


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    paths = [_file(here.transfer_folder, name) for name in dict.fromkeys((options.file, *options.more))]
    size, before = sum(path.stat().st_size for path in paths), 0
    rows = []
    for path in paths:
        sent = await here.session.upload_file(path, here.part(before, size))
        before += sent.size
        rows.append([path.name, sent.size])
    yield Table(["FILE", "SIZE"], rows)
    yield Facts({"files": [row[0] for row in rows]})


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path.resolve()
        if path.exists():
            raise BadInput(f"not a file: {name}", hint="upload_folder sends a job's folder")
    raise NotFound(f"no such file: {name}", hint=f"looked in {folder} and here")
