"""What becomes of runs and run folders when several people decide at once: each function is one decision.

A decision looks and writes in the same transaction, and transactions come one after the other: whoever is second
meets what the first has left, and is refused or does what still makes sense. Nothing is decided on what was read
before. Every change of a run's state has its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, update

from rondo.base.errors import Conflict
from rondo.ledger import events, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Asked, Deployment, Run
from rondo.ledger.tables import deployments, settings
from rondo.rounds.crossing import CROSSING
from rondo.rounds.orders import TAKING_PART, failure

NUMBER = "run_number"  # the setting: which folder deploy and start work in


def alone(tx: Tx) -> None:
    """Until this transaction ends, nobody else decides: databases other than SQLite let several look at once."""
    tx.execute(update(settings).where(settings.c.key == "schema").values(value=settings.c.value))


# ---- runs


def begin(tx: Tx, now: float, values: Mapping[str, Any], waits: bool) -> int:
    """A new run, to be played when those before it are over; returns its id.

    Raises ``Conflict`` where one is open (its validation counts) and the new one ``waits`` for none.
    """
    alone(tx)
    ahead = runs.open_runs(tx)
    if ahead and not waits:
        raise Conflict(
            f"Server training has already been started: run {ahead[0].id}.", hint="abort server, or --when-busy queue"
        )
    run = runs.add(tx, {**values, "state": "submitted", "created_at": now})
    told = {"job": values["name"], "number": values["number"], "rounds": values["num_rounds"]}
    told |= {"by": values["by"], "event": values.get("event", "")}
    events.record(tx, now, run, "run_submitted", told | ({"after": [one.id for one in ahead]} if ahead else {}))
    return run


def advance(tx: Tx, now: float, run: Run, state: str) -> None:
    """The run is in ``state`` from now on, unless it is there or beyond. Raises ``RunAborted`` where it is over."""
    started = {"started_at": now} if state == "running" else {}
    if runs.advance(tx, run.id, state, **started):
        events.record(tx, now, run.id, f"run_{state}", {"round": run.start_round, "rounds": run.num_rounds})
    else:
        runs.see_open(tx, run.id)


def end(tx: Tx, now: float, run: int, state: str, why: Mapping[str, Any] | None) -> bool:
    """The run is over, as ``finished``, ``aborted`` or ``failed``; False where somebody else has ended it."""
    ended = runs.advance(tx, run, state, ended_at=now, error=why)
    if ended:
        events.record(tx, now, run, f"run_{state}", why or {})
    return ended


def abort(tx: Tx, now: float, run: int | None, asked: Asked) -> Run:
    """End the run, or the one under way where none is named. Raises ``Conflict`` where it is not open."""
    alone(tx)
    wanted = [one for one in runs.open_runs(tx) if run is None or one.id == run]
    if not wanted:
        stopped = "already stopped" if runs.latest(tx) else "not started"
        raise Conflict(f"Server training has {stopped}." if run is None else f"run {run} is not open")
    end(tx, now, wanted[0].id, "aborted", {**failure(f"aborted by {asked['by']}"), **asked})
    return wanted[0]


# ---- who takes part by name


def invite(tx: Tx, now: float, client: str, gpus: int, asked: Asked) -> Run:
    """Ask ``client`` to take part in the run under way, with what is deployed to it, on so many GPUs.

    Raises ``Conflict``.
    """
    alone(tx)
    under_way = runs.open_runs(tx)
    if not under_way:
        raise Conflict("Server training has not started.", hint="start server first")
    run = under_way[0]
    if not _trains(tx, run):
        raise Conflict("Server training has stopped: cross-site validation goes on.", hint="wait for its end")
    deployment = runs.deployed(tx, run.number, client)
    if deployment is None:
        raise Conflict(f"mmar_{client} does not exist. Please deploy it before start client.")
    part = runs.participant(tx, run.id, client)
    if part is not None and part.state in TAKING_PART:
        raise Conflict("Client already in training.")
    if runs.is_full(tx, run):
        raise Conflict(f"{run.max_clients} clients take part already: the job's max_clients")
    runs.invite(tx, run.id, client, deployment, now, gpus)
    runs.set_participant(tx, (run.id, client), "invited", now, asked)
    return run


def withdraw(tx: Tx, now: float, run: int, client: str, invited_at: float) -> None:
    """Take an invitation back that was not answered; a later one stays."""
    part = runs.participant(tx, run, client)
    if part is not None and (part.state, part.changed_at) == ("invited", invited_at):
        runs.set_participant(tx, (run, client), "stopped", now, {"error": "No replies"})


def stop(tx: Tx, now: float, client: str, asked: Asked) -> int:
    """``client`` trains no more; returns the run's id. Whoever takes part in cross-site validation waits for that, and
    is stopped by the second time. Raises ``Conflict`` for one that takes no part in a run.
    """
    engaged = runs.engagement(tx, client)
    if engaged is None or engaged[1].state not in TAKING_PART:
        newest = runs.latest(tx)
        stopped = "already stopped" if newest and runs.participant(tx, newest.id, client) else "not started"
        raise Conflict(f"Client training has {stopped}.")
    run, part = engaged
    goes_on = part.cross and part.state == "prepared" and run.state in ("running", "validating") and _trains(tx, run)
    state = "validating" if goes_on else "stopped"
    runs.set_participant(tx, (run.id, client), state, now, {"error": f"aborted by {asked['by']}", **asked})
    return run.id


def _trains(tx: Tx, run: Run) -> bool:
    """Whether the run is still in its own rounds (which nobody has left), not in those of cross-site validation."""
    this = rounds.current(tx, run.id)
    return this is None or (this.task not in CROSSING and this.state != "failed")


# ---- run numbers and what is deployed in their folders


def number(tx: Tx) -> int:
    """The run number that was chosen. Raises ``Conflict`` where none was."""
    chosen = events.setting(tx, NUMBER)
    if not chosen:
        raise Conflict("Please set a run number.", hint="set_run_number N")
    return int(chosen)


def choose(tx: Tx, chosen: int) -> bool:
    """Deploy and start work in ``run_CHOSEN`` from now on; True where it was used before. Raises ``Conflict``."""
    alone(tx)
    if runs.open_runs(tx):
        raise Conflict("run_number can not be changed during the FL app running.", hint="abort server first")
    events.put_setting(tx, NUMBER, str(chosen))
    return runs.number_exists(tx, chosen)


def discard(tx: Tx, unwanted: int) -> None:
    """Nothing is deployed in ``run_UNWANTED`` any more: its folders may go. Raises ``Conflict`` while a run uses it."""
    alone(tx)
    if any(run.number == unwanted for run in runs.open_runs(tx)):
        raise Conflict("Current running run_number can not be deleted.", hint="abort it first")
    tx.execute(delete(deployments).where(deployments.c.number == unwanted))


def deploy(tx: Tx, now: float, folder: str, target: str) -> tuple[Deployment, Deployment | None]:
    """The staged folder is what ``target`` runs in the chosen run folder; returns that, and what it was before.

    Raises ``NotFound``, and ``Conflict`` while the code there is in use.
    """
    alone(tx)
    chosen, package = number(tx), runs.see_staged(tx, folder)
    for run in runs.open_runs(tx):
        part = runs.participant(tx, run.id, target)
        taking_part = target == "server" or (part is not None and part.state in TAKING_PART)
        if run.number == chosen and taking_part:
            raise Conflict(f"{target} is in training in run_{chosen}.", hint="abort it first, or set_run_number")
    earlier = runs.deployed(tx, chosen, target)
    given = Deployment(chosen, target, folder, package.digest, package.size, now, package.voucher)
    runs.deploy(tx, given)
    return given, earlier


def undeploy(tx: Tx, given: Deployment, earlier: Deployment | None) -> None:
    """Take a deployment back that did not reach its target; what was there before counts again. A later one stays."""
    if runs.deployed(tx, given.number, given.target) != given:
        return
    where = (deployments.c.number == given.number, deployments.c.target == given.target)
    tx.execute(delete(deployments).where(*where))
    if earlier is not None:
        runs.deploy(tx, earlier)


def to_start(tx: Tx) -> Deployment:
    """What ``start server`` starts. Raises ``Conflict`` where nothing is deployed."""
    found = runs.deployed(tx, number(tx), "server")
    if found is None:
        raise Conflict("The server's MMAR does not exist. Please deploy it before start server.")
    return found
