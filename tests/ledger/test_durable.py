"""What SQLite is told about fsync."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.ledger.ledger import Ledger, Tx, sqlite_url

NORMAL, FULL = 1, 2  # https://www.sqlite.org/pragma.html#pragma_synchronous


def synchronous(tx: Tx) -> int:
    return int(tx.exec_driver_sql("PRAGMA synchronous").scalar_one())


@pytest.mark.parametrize(("durable", "level"), [(False, NORMAL), (True, FULL)])
async def test_every_commit_of_a_durable_ledger_is_synced(tmp_path: Path, durable: bool, level: int) -> None:
    async with Ledger(sqlite_url(tmp_path / "ledger.db"), durable=durable) as ledger:
        assert await ledger.do(synchronous) == level
