"""Databases for the contract of the ledger: SQLite files always, and the one that ``RONDO_TEST_LEDGER`` names.

That database is emptied before every test.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from rondo.ledger.ledger import Ledger, sqlite_url
from rondo.ledger.tables import metadata

KINDS = ["sqlite", *(["named"] if os.environ.get("RONDO_TEST_LEDGER") else [])]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "ledger.db")
        return
    named = os.environ["RONDO_TEST_LEDGER"]
    engine = create_engine(named)
    metadata.drop_all(engine)
    yield named
    engine.dispose()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with Ledger(url) as opened:
        yield opened


@pytest.fixture
async def other(url: str, ledger: Ledger) -> AsyncIterator[Ledger]:
    """A second server on the same database."""
    async with Ledger(url) as opened:
        yield opened
