"""Who uses what of a server's disk: the workspace by run and purpose, as ``rondo server du`` shows it.

Reads the ledger and the folders, writes nothing: the server may run meanwhile, or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rondo.base.room import free_bytes
from rondo.blobs import local
from rondo.ledger.ledger import Tx
from rondo.ledger.reading import read_ledger
from rondo.ledger.wanted import Wanted
from rondo.server import leftovers
from rondo.server.leftovers import Found, Use

LEFT = "left behind"


@dataclass(frozen=True)
class Line:
    """``run``: a run number, 0 for what belongs to none. A file with several names is counted once."""

    run: int
    what: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Usage:
    """``leftovers``: what the next start of the server sweeps, unless somebody is just writing it; ``free``: bytes
    that may still be written on this disk."""

    workspace: Path
    lines: list[Line]
    leftovers: list[Found]
    free: int


def usage(workspace: Path, url: str, now: float) -> Usage:
    """Raises ``NotFound`` where no server was ever started in ``workspace``, ``LedgerBusy``, ``BadInput``."""

    def look(tx: Tx) -> Wanted:
        return leftovers.looked_at(tx, now)[0]

    known = read_ledger(workspace / "ledger.db", url, look)
    store = local.build(local.Options(folder=str(workspace / "blobs")))
    count = _Count()
    left = []
    for found in leftovers.everything(workspace, store, known):
        count.add(found.path, found.use or Use(0, LEFT))
        left += [] if found.use else [found]
    for file in _files(workspace):
        count.add(file, _purpose(file.relative_to(workspace).parts))
    return Usage(workspace, count.lines(), left, free_bytes(workspace))


class _Count:
    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._sums: dict[Use, tuple[int, int]] = {}

    def add(self, path: Path, use: Use) -> None:
        """A file, or all files below a folder, for ``use``; whoever counts a file first has it."""
        for file in _files(path) if path.is_dir() else [path]:
            try:
                found = file.lstat()
            except FileNotFoundError:  # gone meanwhile
                continue
            key = (found.st_dev, found.st_ino)
            if key not in self._seen:
                self._seen.add(key)
                files, size = self._sums.get(use, (0, 0))
                self._sums[use] = (files + 1, size + found.st_size)

    def lines(self) -> list[Line]:
        """By run, those of none last; what is left behind at the very end."""
        order = sorted(self._sums, key=lambda use: (use.what == LEFT, use.run == 0, use.run, use.what))
        return [Line(use.run, use.what, *self._sums[use]) for use in order]


def _files(folder: Path) -> Iterator[Path]:
    for at, _, names in os.walk(folder):
        yield from (Path(at) / name for name in names)


def _purpose(parts: tuple[str, ...]) -> Use:
    """What a file is for that is no leftover, by its place."""
    top, number = parts[0], parts[0].removeprefix("run_")
    if top.startswith("run_") and number.isdecimal() and len(parts) > 1:
        if parts[1] == "updates":
            return Use(int(number), "kept updates")
        is_log = len(parts) == 2 and (".log" in parts[1] or parts[1] == "metrics.jsonl")
        return Use(int(number), "logs and metrics" if is_log else "job and results")
    if top.startswith("ledger.db"):
        return Use(0, "ledger")
    if top.startswith("log.jsonl"):
        return Use(0, "logs")
    return Use(0, {"transfer": "packages", "startup": "start-up kit"}.get(top, "other files"))
