"""List the versions of a run's global model: metrics, digest, whether the file is kept, which one is best."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Table, figures
from rondo.commands.seam import RunId

PERMISSION = "VIEW"
SCOPE = "runs"
EXAMPLE = "1"


class Options(BaseOptions, frozen=True):
    """``run_id``: as ``list_runs`` shows it."""

    run_id: RunId


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    best, models = (await desk.runs.get(options.run_id)).best_version, await desk.runs.models(options.run_id)
    yield Table(
        ["VERSION", "BEST", "KEPT", "DIGEST", "METRICS"],
        [[m["version"], m["version"] == best, m["kept"], m["digest"], figures(m["metrics"])] for m in models],
    )
    yield Facts({"run": options.run_id, "best": best, "models": list(models)})
