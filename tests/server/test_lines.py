"""What an admin is shown of the clients costs a few queries, not a few for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from rondo.ledger import events, rounds, runs, sessions
from rondo.ledger.ledger import Ledger, Tx, sqlite_url
from rondo.server.lines import client_lines

RUN = {
    "number": 1, "name": "n", "state": "running", "package": "p", "package_size": 1, "by": "me", "invites": "all",
    "created_at": 0.0, "start_round": 0, "num_rounds": 2, "min_clients": 1, "max_clients": 99, "seed": "s",
}  # fmt: skip


@contextmanager
def statements(tx: Tx) -> Iterator[list[str]]:
    """What is asked of the database."""
    asked: list[str] = []

    def note(*told: Any) -> None:
        asked.append(told[2])

    event.listen(tx, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(tx, "before_cursor_execute", note)


def invite(tx: Tx, run: int, name: str) -> None:
    """Logged in, and asked to take part."""
    sessions.add(tx, sessions.Session(f"{name:>64}", name, name, "client", "f", "h:1", "v", "here", "", 0.0, 0.0, ""))
    package = runs.get(tx, run)
    assert package is not None
    runs.invite(tx, run, name, package, 0.0)


def arrive(tx: Tx, run: int, names: list[str]) -> None:
    """Logged in, and taking part; every other one has answered, the others have said how far they are."""
    for number, name in enumerate(names):
        invite(tx, run, name)
        runs.set_participant(tx, (run, name), "prepared", 0.0)
        if number % 2:
            update = rounds.Contribution(run, 0, "train", name, "d", 1, "weights", 1.0, 0.0, {}, {}, [], 1.0, 8.0)
            assert rounds.accept(tx, update) == ""
        else:
            for phase, fraction in (("downloading", 1.0), ("training", 0.25)):
                about = {"client": name, "round": 0, "phase": phase, "fraction": fraction}
                events.record(tx, 0.0, run, "progress", about)


async def test_what_each_waits_for_since_when_and_then(tmp_path: Path) -> None:
    """From the invitation to the end of the round."""
    async with Ledger(sqlite_url(tmp_path / "l.db")) as ledger:

        def look(tx: Tx) -> list[tuple[str, float | None, str]]:
            run, seen = runs.add(tx, RUN), []
            key = (run, 0, "train")

            def see(name: str) -> None:
                (line,) = [line for line in client_lines(tx) if line.instance == name]
                seen.append((line.waiting_for, line.since, line.then))

            invite(tx, run, "a")
            invite(tx, run, "b")
            see("a")
            runs.set_participant(tx, (run, "a"), "prepared", 3.0)
            see("a")
            runs.set_participant(tx, (run, "b"), "prepared", 3.0)
            rounds.open_round(tx, key, 0, 5.0)
            rounds.decline(tx, key, "a", {"error": "no data"}, 6.0)
            see("a")
            see("b")
            rounds.end_round(tx, key, "committed", 9.0)
            see("b")
            runs.set_participant(tx, (run, "b"), "stopped", 9.0)
            see("b")
            return seen

        assert await ledger.do(look) == [
            ("its word that it has the invitation in hand", 0.0, "prepares the job"),
            ("the first round to open", 3.0, "trains"),
            ("the others, in round 0", 6.0, "gets what came of it"),
            ("its own work on round 0", 5.0, "sends what it has made"),
            ("the next round to open", 9.0, "trains"),
            ("", None, ""),
        ]


async def test_many_clients_cost_as_many_queries_as_two(tmp_path: Path) -> None:
    async with Ledger(sqlite_url(tmp_path / "l.db")) as ledger:

        def look(tx: Tx) -> tuple[list[Any], int, list[Any], int]:
            run = runs.add(tx, RUN)
            rounds.open_round(tx, (run, 0, "train"), 0, 5.0)
            arrive(tx, run, ["a", "b"])
            with statements(tx) as few:
                two = client_lines(tx)
            arrive(tx, run, [f"c{number:02}" for number in range(50)])
            with statements(tx) as many:
                all_of_them = client_lines(tx)
            return two, len(few), all_of_them, len(many)

        two, few, all_of_them, many = await ledger.do(look)
    assert [(line.instance, line.status, line.waiting_for, line.last_round, line.contributions) for line in two] == [
        ("a", "training started", "its own work: training 25%", None, 0),
        ("b", "training started", "the others, in round 0", 0, 1),
    ]
    assert [(line.since, line.then) for line in two] == [(5.0, "sends what it has made"), (8.0, "gets what came of it")]
    assert [line.instance for line in all_of_them] == ["a", "b", *(f"c{number:02}" for number in range(50))]
    assert {line.waiting_for for line in all_of_them} == {line.waiting_for for line in two}
    assert many == few
