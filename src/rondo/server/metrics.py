"""Scalars that clients returned: averaged by samples, and as ``metrics.jsonl`` in the run folder.

The ledger is the truth; the file is written anew from it when a run is taken up, and grows by a round at a time. Runs
that share a run number share the folder, and so the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.disk import disk_errors, write_atomic
from rondo.ledger.rounds import Contribution

FILE = "metrics.jsonl"


def average(updates: Sequence[Contribution]) -> dict[str, float]:
    """Every metric of the model received, averaged by samples over the clients that sent it, in their order."""
    result = {}
    for name in sorted({name for update in updates for name in update.metrics}):
        having = [update for update in updates if name in update.metrics]
        result[name] = sum(u.metrics[name] * u.samples for u in having) / sum(u.samples for u in having)
    return result


def append_metrics(folder: Path, updates: Sequence[Contribution]) -> None:
    """Add one round: a line a client, and one of the averages."""
    path = folder / FILE
    with disk_errors(path, "write the metrics"), path.open("ab") as file:
        file.write(_lines(updates))


def write_metrics(folder: Path, updates: Iterable[Contribution]) -> None:
    """Write the file anew from all contributions of the runs in this folder."""
    rounds = groupby(updates, key=lambda update: (update.run, update.round, update.task))
    write_atomic(folder / FILE, b"".join(_lines(list(group)) for _, group in rounds))


def _lines(updates: Sequence[Contribution]) -> bytes:
    if not updates:
        return b""
    first = updates[0]
    rows: list[dict[str, Any]] = [
        {
            "run": update.run,
            "round": update.round,
            "task": update.task,
            "client": update.client,
            "samples": update.samples,
            "metrics": update.metrics,
            "local_metrics": update.local_metrics,
        }
        for update in updates
    ]
    mean = {"client": "", "metrics": average(updates)}
    rows.append({"run": first.run, "round": first.round, "task": first.task, **mean})
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
