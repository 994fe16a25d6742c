"""Run an uploaded job on every client: the server picks a run number, dispatches, trains and ends by itself.

It goes to every client whose site the submitter may deploy it to and train it at, also to those that log in later. For
every other one an event says why it is not invited.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk, WhenBusy
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import folder_name

PERMISSION = "TRAIN"
ALSO = ("DEPLOY",)
SCOPE = "runs"
EXAMPLE = "my_job"
SENDS = "folder"


class Options(BaseOptions, frozen=True):
    """``folder``: the job's folder; it is uploaded first. ``when_busy``: while another run (or its validation) is
    under way, ``queue`` it or ``refuse`` it."""

    folder: str
    when_busy: WhenBusy = msgspec.field(default="queue", name="--when-busy")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    started = await desk.runs.submit(folder_name(options.folder), options.when_busy)
    line = await desk.runs.get(started)
    yield Text(f"run {started} submitted as run_{line.number}")
    yield Facts({"run": started, "number": line.number})
