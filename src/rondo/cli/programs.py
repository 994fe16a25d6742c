"""What the long-running programs share: logging, signals, the version."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from rondo.base.clock import SystemClock
from rondo.base.disk import disk_errors
from rondo.base.malloc import one_arena

VERSION = version("rondo-fl")
LINE = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"  # Clara's
RESTART = 75  # exit code that asks the supervisor to start the program again
MOST_LOG = 32 << 20  # bytes of log.jsonl before it becomes log.jsonl.1


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {"at": record.created, "level": record.levelname, "from": record.name, "text": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def log_to(workspace: Path, name: str) -> None:
    """A readable line on stdout, and everything as JSON lines in ``workspace/NAME.jsonl``. Raises ``NoSpace``."""
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter(LINE))
    with disk_errors(workspace, "write the log"):
        full = RotatingFileHandler(workspace / f"{name}.jsonl", maxBytes=MOST_LOG, backupCount=1, encoding="utf-8")
    full.setFormatter(_Json())
    logging.basicConfig(level=logging.INFO, handlers=[lines, full])


def settle() -> None:
    """Before the first thread starts, when all is loaded: what keeps the memory of a program that runs on flat.

    A thread keeps the arena that it began with, so one for all has to be said now (see ``one_arena``). And the
    collector of cycles looks no more at what has been loaded: it would hold the program up for some 50 to 100 ms each
    time, and look only after a quarter as much has come since, megabytes of cycles.
    """
    one_arena()
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def until_signalled() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def open_kit(path: Path, role: str) -> Any:
    """The opened kit at ``path``, valid now and of this role. Raises ``BadInput``, ``Refused``."""
    from rondo.net.kits import load_kit  # noqa: PLC0415 - keeps `rondo --help` fast

    return load_kit(path, SystemClock().now(), role)
