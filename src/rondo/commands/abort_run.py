"""Abort one run by its id, whether it is queued or under way."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import RunId

PERMISSION = "TRAIN"
SCOPE = "runs"
EXAMPLE = "1"


class Options(BaseOptions, frozen=True):
    """``run_id``: as ``list_runs`` shows it."""

    run_id: RunId


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    stopped = await desk.runs.abort(options.run_id)
    yield Text(f"run {stopped} aborted")
    yield Facts({"run": stopped})
