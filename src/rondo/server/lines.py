"""What an admin is shown of the clients: a line for each, from a few queries however many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rondo.commands.desk import ClientLine
from rondo.ledger import events, rounds, runs
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import OPEN, Run
from rondo.rounds.crossing import CROSSES, CROSSING, asked


def client_lines(tx: Tx) -> list[ClientLine]:
    """Everybody who is logged in, by instance name, and what each does in the run that is under way (or the last)."""
    newest = next(iter(runs.open_runs(tx)), None) or runs.latest(tx)
    counts, crosses = rounds.counts(tx, newest.id) if newest else {}, newest is not None and _crosses(tx, newest)
    parts = {part.client: part for part in runs.taking_part(tx, newest.id)} if newest else {}
    waiting = _waiting(tx, newest) if newest and newest.state in OPEN else lambda _: _NOTHING
    lines = []
    for instance, kit, token, state in session_rows.here(tx):
        part = parts.get(instance)
        wait, (last, count) = waiting(part) if part else _NOTHING, counts.get(instance, (None, 0))
        doing = (_status(newest, part, crosses), wait.what, last, count, wait.since, wait.then)
        lines.append(ClientLine(instance, kit, token[:8], state, *doing))
    return lines


@dataclass(frozen=True)
class _Wait:
    """What a client waits for, since when, and what it does then."""

    what: str = ""
    since: float | None = None
    then: str = ""


_NOTHING = _Wait()
_BEFORE = {  # the first round that it takes part in
    "invited": ("its word that it has the invitation in hand", "prepares the job"),
    "preparing": ("its own preparation", "takes part in the rounds"),
}


def _crosses(tx: Tx, run: Run) -> bool:
    """Whether nobody trains any more, and cross-site validation goes on."""
    this = rounds.current(tx, run.id)
    return this is not None and this.task in CROSSING


def _status(run: Run | None, part: runs.Participant | None, crosses: bool) -> str:
    """Clara's status words (spec 7.2)."""
    if run is None or part is None:
        return "training not started"
    if run.state not in OPEN or part.state in ("failed", "stopped"):
        return "training stopped"
    if part.state == "validating" or crosses:
        return "cross site validation" if part.cross else "training stopped"
    return "training started" if part.state == "prepared" else "training starting"


def _waiting(tx: Tx, run: Run) -> Callable[[runs.Participant], _Wait]:
    """Says what somebody who takes part does, or waits for, in the round that is open."""
    this, said = rounds.current(tx, run.id), events.last_progress(tx, run.id)
    answered = rounds.answered(tx, (this.run, this.round, this.task)) if this else {}

    def waiting(part: runs.Participant) -> _Wait:
        if part.state in _BEFORE:
            what, then = _BEFORE[part.state]
            return _Wait(what, part.changed_at, then)
        if part.state not in CROSSES:
            return _NOTHING
        if this is not None and not asked(this.task, part.state, part.cross):
            then = "sends its best local model" if part.cross else "takes part in the next run"
            return _Wait(f"the others, in round {this.round}", part.changed_at, then)
        if this is None:
            return _Wait("the first round to open", part.changed_at, "trains")
        if this.state == "committed":
            return _Wait("the next round to open", this.ended_at, "trains")
        if part.client in answered:
            return _Wait(f"the others, in round {this.round}", answered[part.client], "gets what came of it")
        own = said.get(part.client, f"its own work on round {this.round}")
        return _Wait(own, max(this.opened_at, part.changed_at), "sends what it has made")

    return waiting
