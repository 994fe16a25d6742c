"""A bar for one transfer, on stderr, where that is a terminal; for the commands that are done one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from rondo.net.transfer import Progress


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """What to tell of bytes moved; the bar comes with the first of them and goes with the block."""
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    shown = TextColumn("{task.description}", markup=False)
    bars = Bars(shown, *columns, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty())
    task = bars.add_task(title, total=None)

    def progress(done: int, size: int) -> None:
        bars.start()
        bars.update(task, completed=done, total=size)

    try:
        yield progress
    finally:
        bars.stop()
