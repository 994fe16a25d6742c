"""What can befall a ledger that is a SQLite file: kill -9, somebody else's lock, a full or read-only disk, a wreck."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Conflict, LedgerBusy, NoSpace, RondoError
from rondo.ledger import events, runs
from rondo.ledger.ledger import SCHEMA, Ledger, Tx, sqlite_url
from tests.ledger.rows import add_run

SOON = 0.01  # seconds: what is locked stays so in these tests

# Writes a run and its event, says how far it is, and stays there until it is killed.
_WRITER = """
import asyncio, json, sys
from rondo.ledger import events
from rondo.ledger.ledger import Ledger
from tests.ledger.rows import add_run

def stay(word):
    print(word, flush=True)
    sys.stdin.read()

def write(tx, halfway):
    add_run(tx, name="late")
    if halfway:
        stay("halfway")
    events.record(tx, 2.0, 2, "late")

async def main(url, halfway):
    async with Ledger(url) as ledger:
        await ledger.do(write, halfway)
        stay("committed")

asyncio.run(main(*json.loads(sys.argv[1])))
"""


@contextmanager
def writer(url: str, halfway: bool) -> Iterator[subprocess.Popen[str]]:
    """A process that has come to its standstill; killed with -9 where the block ends."""
    command = [sys.executable, "-c", _WRITER, json.dumps([url, halfway])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == ("halfway" if halfway else "committed")
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def names(url: str) -> list[str]:
    async with Ledger(url, SOON) as ledger:
        return [run.name for run in await ledger.do(runs.listed)] + [
            event.kind for event in await ledger.do(events.after, 0)
        ]


async def new(url: str) -> None:
    async with Ledger(url) as ledger:
        await ledger.do(add_run, name="early")


# ---- kill -9 ------------------------------------------------------------------------------------------------------


async def test_killed_within_a_transaction_it_leaves_nothing_of_it(path: Path) -> None:
    url = sqlite_url(path)
    await new(url)
    with writer(url, halfway=True), pytest.raises(LedgerBusy, match="locked"):
        await names(url)
    assert await names(url) == ["early"]


async def test_killed_after_a_transaction_it_leaves_all_of_it(path: Path) -> None:
    url = sqlite_url(path)
    await new(url)
    with writer(url, halfway=False):
        assert await names(url) == ["late", "early", "late"]
    assert await names(url) == ["late", "early", "late"]


async def test_killed_while_the_tables_are_made_it_leaves_a_ledger_to_begin_with(path: Path) -> None:
    """Tables come in one transaction, too: half of them would be a ledger that nobody can use."""
    with closing(sqlite3.connect(path, isolation_level=None)) as half:
        half.execute("BEGIN IMMEDIATE")
        half.execute("CREATE TABLE settings (key TEXT)")
    await new(sqlite_url(path))
    assert await names(sqlite_url(path)) == ["early"]


# ---- somebody else ------------------------------------------------------------------------------------------------


@contextmanager
def held(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        yield


async def test_a_ledger_that_somebody_holds_is_busy_and_usable_afterwards(path: Path) -> None:
    async with Ledger(sqlite_url(path), SOON) as ledger:
        with held(path):
            with pytest.raises(LedgerBusy, match=r"ledger.db: the ledger is not to be had.*end the other process"):
                await ledger.do(add_run)
            with pytest.raises(LedgerBusy):
                await names(sqlite_url(path))
        await ledger.do(add_run)
        assert len(await ledger.do(runs.listed)) == 1


async def test_who_is_patient_gets_it(path: Path) -> None:
    async with Ledger(sqlite_url(path)) as ledger, Ledger(sqlite_url(path), 30.0) as patient:
        assert await ledger.do(add_run) + 1 == await patient.do(add_run)


# ---- the disk -----------------------------------------------------------------------------------------------------


async def test_a_read_only_ledger_is_no_space(path: Path) -> None:
    await new(sqlite_url(path))
    with pytest.raises(NoSpace, match=r"cannot be written.*readonly.*fix the folder's rights"):
        await names(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_a_folder_that_is_not_there_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="unable to open"):
        await names(sqlite_url(tmp_path / "nowhere" / "ledger.db"))


async def test_a_full_disk_is_no_space_and_loses_only_what_did_not_fit(path: Path) -> None:
    def fill(tx: Tx) -> None:
        for _ in range(100):
            events.record(tx, 1.0, 1, "big", {"text": "x" * 10_000})

    async with Ledger(sqlite_url(path)) as ledger:
        await ledger.do(add_run, name="early")
        await ledger.do(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 100"))
        with pytest.raises(NoSpace, match="full"):
            await ledger.do(fill)
        assert await ledger.do(events.after, 0) == []
        await ledger.do(add_run, name="late")
    assert await names(sqlite_url(path)) == ["late", "early"]


# ---- an operation that raises -------------------------------------------------------------------------------------


async def test_what_raises_leaves_nothing_and_no_transaction_open(path: Path) -> None:
    def half(tx: Tx) -> None:
        add_run(tx, name="half")
        raise Conflict("not now")

    async with Ledger(sqlite_url(path), SOON) as ledger:
        with pytest.raises(Conflict, match="not now"):
            await ledger.do(half)
        with held(path):  # so nothing is held by the one that raised
            pass
        await ledger.do(add_run, name="whole")
        assert [run.name for run in await ledger.do(runs.listed)] == ["whole"]


# ---- files that are no ledger of ours -----------------------------------------------------------------------------


def content(path: Path) -> bytes:
    return path.read_bytes()


def wreck(path: Path, after: int) -> None:
    """Somebody's notes in place of all that follows the first ``after`` bytes."""
    kept = path.read_bytes()[:after] if after else b""
    path.write_bytes(kept + b"somebody's notes" * 2048)


async def test_a_ledger_of_a_newer_rondo_is_left_alone(path: Path) -> None:
    async with Ledger(sqlite_url(path)) as ledger:
        await ledger.do(events.put_setting, "schema", str(int(SCHEMA) + 1))
    before = content(path)
    with pytest.raises(Conflict, match=r"has schema 6, this Rondo reads 5.*use the Rondo version that wrote it"):
        await names(sqlite_url(path))
    assert content(path) == before


async def test_what_is_no_database_is_told_as_broken(path: Path) -> None:
    wreck(path, 0)
    with pytest.raises(LedgerBusy, match=r"the ledger is broken: file is not a database.*put a copy"):
        await names(sqlite_url(path))


async def test_a_wreck_is_told_as_broken_and_not_as_a_full_disk(path: Path) -> None:
    await new(sqlite_url(path))
    wreck(path, 4096)
    with pytest.raises(LedgerBusy, match=r"the ledger is broken: .*malformed"):
        await names(sqlite_url(path))


async def test_a_mistake_of_ours_is_no_fault_of_the_machine(path: Path) -> None:
    async with Ledger(sqlite_url(path)) as ledger:
        for statement in ("INSERT INTO settings VALUES ('schema', '2')", "SELECT * FROM nothing"):
            with pytest.raises(RondoError, match="the ledger refused") as caught:
                await ledger.do(lambda tx, text=statement: tx.exec_driver_sql(text))
            assert caught.value.exit_code == 1


@pytest.mark.parametrize("url", ["no url", "oracle+nothing://u:secret@host/db"])
def test_a_url_that_names_no_database_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="cannot talk to such a ledger") as caught:
        Ledger(url)
    assert "secret" not in str(caught.value)
