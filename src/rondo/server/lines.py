"""What an admin is shown of the clients: a line for each, from a few queries however many there are."""

from __future__ import annotations

from collections.abc import Callable

from rondo.commands.desk import ClientLine
from rondo.ledger import events, rounds, runs
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import OPEN, Run


def client_lines(tx: Tx) -> list[ClientLine]:
    """Everybody who is logged in, by instance name, and what each does in the run that is under way (or the last)."""
    newest = next(iter(runs.open_runs(tx)), None) or runs.latest(tx)
    counts = rounds.counts(tx, newest.id) if newest else {}
    parts = {part.client: part for part in runs.taking_part(tx, newest.id)} if newest else {}
    waits_for = _waiting(tx, newest) if newest and newest.state in OPEN else lambda _: ""
    return [
        ClientLine(
            one.instance, one.name, one.token[:8], one.state, _status(newest, parts.get(one.instance)),
            waits_for(one.instance), *counts.get(one.instance, (None, 0)),
        )
        for one in session_rows.present(tx)
    ]  # fmt: skip


def _status(run: Run | None, part: runs.Participant | None) -> str:
    """Clara's status words (spec 7.2)."""
    if run is None or part is None:
        return "training not started"
    if run.state not in OPEN or part.state in ("failed", "stopped"):
        return "training stopped"
    return "training started" if part.state == "prepared" else "training starting"


def _waiting(tx: Tx, run: Run) -> Callable[[str], str]:
    """Says what a client does, or waits for, in the round that is open."""
    this, said = rounds.current(tx, run.id), events.last_progress(tx, run.id)
    answered = rounds.answered(tx, (this.run, this.round, this.task)) if this else set()

    def waits_for(client: str) -> str:
        return f"the others, in round {this.round}" if this and client in answered else said.get(client, "")

    return waits_for
