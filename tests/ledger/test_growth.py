"""A late round of a long run asks no more of the database than an early one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rondo.ledger import events, models, rounds, runs
from rondo.ledger.ledger import Ledger, Tx, sqlite_url
from tests.ledger.rows import JOB, add_run, contribution

CLIENTS = [f"site-{number}" for number in range(4)]
EARLY, LATE = 20, 300


def steps(tx: Tx, work: Callable[[], Any]) -> int:
    """How many instructions of SQLite's virtual machine ``work`` takes, in tens."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    connection: Any = tx.connection.driver_connection
    connection.set_progress_handler(count, 10)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
    return taken


def play(tx: Tx, run: int, number: int) -> None:
    """What a round writes and asks, from its opening to its commit."""
    key = (run, number, "train")
    events.record(tx, 0.0, run, "round_opened", {"round": number})
    assert rounds.last_committed(tx, run) == (number - 1 if number else None)
    rounds.open_round(tx, key, number, 0.0)
    for client in CLIENTS:
        events.record(tx, 0.0, run, "progress", {"client": client, "phase": "training", "fraction": 0.5})
        assert rounds.accept(tx, contribution(key, client)) == ""
        events.record(tx, 0.0, run, "update_accepted", {"client": client, "round": number})
    assert set(events.last_progress(tx, run)) == set(CLIENTS)
    rounds.close_round(tx, key)
    model = models.Model(run, number + 1, f"blake3:{number:064}", 1, True, {}, {"round": number}, 0.0)
    models.add(tx, model)
    rounds.end_round(tx, key, "committed", 1.0)
    events.forget_progress(tx, run)
    forgotten = models.forget(tx, run, {number + 1})
    assert forgotten == ([f"blake3:{number - 1:064}"] if number else [])
    models.last(tx, run)


async def test_a_late_round_costs_the_database_what_an_early_one_did(tmp_path: Path) -> None:
    async with Ledger(sqlite_url(tmp_path / "l.db")) as ledger:
        run = await ledger.do(add_run)

        def all_of_them(tx: Tx) -> list[int]:
            for client in CLIENTS:
                runs.invite(tx, run, client, JOB, 0.0)
            return [steps(tx, partial(play, tx, run, number)) for number in range(LATE + 1)]

        took = await ledger.do(all_of_them)
    assert took[LATE] < 1.2 * took[EARLY]
