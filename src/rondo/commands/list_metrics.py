"""List every scalar that the clients returned, per round and client."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Table
from rondo.commands.seam import RunId

PERMISSION = "VIEW"
SCOPE = "runs"
EXAMPLE = "1"


class Options(BaseOptions, frozen=True):
    """``run_id``: as ``list_runs`` shows it."""

    run_id: RunId


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    await desk.runs.get(options.run_id)  # refuses a run that there is not
    metrics = await desk.runs.metrics(options.run_id)
    head = ["round", "client", "scope", "name", "value", "samples"]
    yield Table([word.upper() for word in head], [[metric[word] for word in head] for metric in metrics])
    yield Facts({"run": options.run_id, "metrics": list(metrics)})
