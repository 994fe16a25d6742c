"""The results of cross-site validation as files of the run's folder: ``cross_validation/results.json`` and ``.csv``.

The ledger is the truth; the files are written anew after every model, and when a run is taken up.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import msgspec

from rondo.base.disk import disk_errors, write_atomic
from rondo.commands.validate import as_csv, nested, reasons
from rondo.ledger import crossing
from rondo.ledger.crossing import Entry
from rondo.ledger.runs import Run
from rondo.server.store import Store

FOLDER = "cross_validation"


async def write_matrix(store: Store, run: Run) -> None:
    """See that the files say what the ledger says; without any results there are none."""
    found = await store.read(crossing.entries, run)
    if found:
        await asyncio.to_thread(_write, store.run_folder(run.number) / FOLDER, run.id, found)


def _write(folder: Path, run: int, found: list[Entry]) -> None:
    lines = [asdict(entry) for entry in found]
    told = {"run": run, "results": nested(lines), "why_empty": reasons(lines)}
    with disk_errors(folder, "write the results of cross-site validation"):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "results.json", msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        write_atomic(folder / "results.csv", as_csv(lines).encode())
