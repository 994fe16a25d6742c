"""One transaction of the ledger that writes a row, committed to the disk of this machine (SQLite, WAL)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rondo.ledger import runs
from rondo.ledger.ledger import Ledger, sqlite_url

RUN = {
    "number": 1, "name": "job", "state": "ended", "package": "blake3:" + "ab" * 32, "package_size": 1000, "by": "admin",
    "invites": "all", "created_at": 1.0, "start_round": 0, "num_rounds": 3, "min_clients": 1, "max_clients": 9,
    "seed": "s",
}  # fmt: skip


def test_ledger_commit(benchmark: Callable[..., Any], tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        ledger = Ledger(sqlite_url(tmp_path / "ledger.db"))
        runner.run(ledger.__aenter__())
        benchmark(lambda: runner.run(ledger.do(runs.add, RUN)))
        runner.run(ledger.__aexit__())
