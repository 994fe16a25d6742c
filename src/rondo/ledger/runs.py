"""Runs, who takes part in them, and what is deployed where. State changes are compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from rondo.base.errors import NotFound, RunAborted
from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.tables import deployments, packages, participants, runs, sessions
from rondo.rounds import states
from rondo.rounds.orders import TAKING_PART, TRAINING

OPEN = states.OPEN

_BY_ID = Prepared(select(runs).where(runs.c.id == bindparam("run")))
_PARTICIPANT = Prepared(
    select(participants).where(participants.c.run == bindparam("run"), participants.c.client == bindparam("client"))
)
_PARTICIPANTS = Prepared(
    select(participants).where(participants.c.run == bindparam("run")).order_by(participants.c.client)
)
_ENGAGEMENT = Prepared(
    select(runs, participants)
    .join(participants, participants.c.run == runs.c.id)
    .where(participants.c.client == bindparam("client"), or_(*(runs.c.state == one for one in OPEN[1:])))
    .order_by(runs.c.id)
)
_TAKING = Prepared(
    select(participants.c.run).where(
        participants.c.client == bindparam("client"), participants.c.package == bindparam("digest")
    )
)
_DEPLOYED_TO = Prepared(
    select(deployments.c.number).where(
        deployments.c.target == bindparam("client"), deployments.c.package == bindparam("digest")
    )
)


@dataclass(frozen=True)
class Run:
    id: int
    number: int  # below 0 where the folder of that number was deleted
    name: str
    state: str  # one of rondo.rounds.states
    package: str
    package_size: int
    by: str
    invites: str  # all, named
    created_at: float
    started_at: float | None
    ended_at: float | None
    start_round: int
    num_rounds: int
    min_clients: int
    max_clients: int
    seed: str
    best_version: int | None
    error: Mapping[str, Any] | None
    voucher: str = ""
    event: str = ""


@dataclass(frozen=True)
class Participant:
    run: int
    client: str
    state: str  # invited, preparing, prepared, validating, failed, stopped
    package: str
    package_size: int
    reason: Mapping[str, Any] | None
    changed_at: float
    voucher: str = ""
    gpus: int = 0  # processes of its training; 0: as the job says
    cross: bool = False
    no_cross: str = ""  # why it does not take part in cross-site validation


@dataclass(frozen=True)
class Deployment:
    number: int
    target: str
    name: str
    package: str
    package_size: int
    at: float
    voucher: str = ""


@dataclass(frozen=True)
class Package:
    name: str
    digest: str
    size: int
    by: str
    at: float
    voucher: str = ""


def add(tx: Tx, values: Mapping[str, Any]) -> int:
    """A new run; returns its id."""
    key = tx.execute(insert(runs).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def get(tx: Tx, run: int) -> Run | None:
    row = _BY_ID.first(tx, run=run)
    return Run(*row) if row else None


def open_runs(tx: Tx) -> list[Run]:
    return [Run(**r._mapping) for r in tx.execute(select(runs).where(runs.c.state.in_(OPEN)).order_by(runs.c.id))]


def latest(tx: Tx, number: int | None = None) -> Run | None:
    """The newest run, of that run number where one is given."""
    query = select(runs).order_by(runs.c.id.desc()).limit(1)
    row = tx.execute(query if number is None else query.where(runs.c.number == number)).first()
    return Run(**row._mapping) if row else None


def listed(tx: Tx, limit: int = 200) -> list[Run]:
    return [Run(**row._mapping) for row in tx.execute(select(runs).order_by(runs.c.id.desc()).limit(limit))]


def next_number(tx: Tx) -> int:
    highest = max(
        int(tx.execute(select(func.max(column))).scalar() or 0) for column in (runs.c.number, deployments.c.number)
    )
    return highest + 1


def advance(tx: Tx, run: int, state: str, **values: Any) -> bool:
    """Compare-and-set: to ``state`` if the run is where that may follow; False when someone else was first."""
    where = (runs.c.id == run, runs.c.state.in_(states.before(state)))
    return tx.execute(update(runs).where(*where).values(state=state, **values)).rowcount == 1


def see_open(tx: Tx, run: int) -> None:
    """Raises ``RunAborted`` where somebody has ended the run."""
    found = get(tx, run)
    if found is None or found.state not in OPEN:
        raise RunAborted(str(((found and found.error) or {}).get("error", f"run {run} is over")))


def note(tx: Tx, run: int, **values: Any) -> None:
    tx.execute(update(runs).where(runs.c.id == run).values(**values))


# ---- who takes part


Asked = Mapping[str, str]  # "by": an admin; "event": of the command in the audit log, where it was one


def invite(tx: Tx, run: int, client: str, package: Package | Deployment | Run, now: float, gpus: int = 0) -> None:
    """Ask ``client`` to take part (again): it will be told at its next waiting call. ``gpus``: see the table."""
    digest, size = (
        (package.digest, package.size) if isinstance(package, Package) else (package.package, package.package_size)
    )
    tx.execute(delete(participants).where(participants.c.run == run, participants.c.client == client))
    values = {
        "run": run,
        "client": client,
        "state": "invited",
        "package": digest,
        "package_size": size,
        "changed_at": now,
        "voucher": package.voucher,
        "gpus": gpus,
    }
    tx.execute(insert(participants).values(**values))


def is_full(tx: Tx, run: Run) -> bool:
    """Whether ``max_clients`` of the clients that are logged in take part already."""
    here = (sessions.c.instance == participants.c.client) & (sessions.c.state != "gone") & (sessions.c.role == "client")
    query = select(func.count()).select_from(participants.join(sessions, here))
    where = (participants.c.run == run.id, participants.c.state.in_(TAKING_PART))
    return int(tx.execute(query.where(*where)).scalar_one()) >= run.max_clients


def participant(tx: Tx, run: int, client: str) -> Participant | None:
    row = _PARTICIPANT.first(tx, run=run, client=client)
    return Participant(*row) if row else None


def taking_part(tx: Tx, run: int) -> list[Participant]:
    return [Participant(*row) for row in _PARTICIPANTS.rows(tx, run=run)]


def set_participant(
    tx: Tx, key: tuple[int, str], state: str, now: float, reason: Mapping[str, Any] | None = None
) -> bool:
    """Change a participant's state; a stopped one stays stopped until it is invited again."""
    where = (participants.c.run == key[0], participants.c.client == key[1], participants.c.state != "stopped")
    return (
        tx.execute(update(participants).where(*where).values(state=state, reason=reason, changed_at=now)).rowcount == 1
    )


def note_prepared(tx: Tx, key: tuple[int, str], now: float, cross: tuple[bool, str]) -> bool:
    """A participant's code runs. ``cross``: whether it takes part in cross-site validation, else why not. One whose
    training was aborted goes on with that alone."""
    part = participant(tx, *key)
    state = "validating" if part is not None and part.state == "validating" else "prepared"
    changed = set_participant(tx, key, state, now)
    where = (participants.c.run == key[0], participants.c.client == key[1], participants.c.state != "stopped")
    tx.execute(update(participants).where(*where).values(cross=cross[0], no_cross=cross[1]))
    return changed


def only_validates(parts: Sequence[Participant]) -> bool:
    """Whether the training of everybody was aborted, and somebody is left for cross-site validation."""
    states = {part.state for part in parts}
    return "validating" in states and states.isdisjoint(TRAINING)


def engagement(tx: Tx, client: str) -> tuple[Run, Participant] | None:
    """The open run that ``client`` takes part in, if any."""
    row = _ENGAGEMENT.first(tx, client=client)
    if row is None:
        return None
    return Run(*row[: len(runs.c)]), Participant(*row[len(runs.c) :])  # the fields are the columns, in their order


# ---- staging and deployment


def stage(tx: Tx, package: Package) -> None:
    tx.execute(delete(packages).where(packages.c.name == package.name))
    tx.execute(insert(packages).values(**package.__dict__))


def staged(tx: Tx, name: str) -> Package | None:
    row = tx.execute(select(packages).where(packages.c.name == name)).first()
    return Package(**row._mapping) if row else None


def see_staged(tx: Tx, name: str) -> Package:
    """Raises ``NotFound`` for a folder that nobody has uploaded."""
    found = staged(tx, name)
    if found is None:
        raise NotFound(f"no such folder: {name}", hint="upload_folder first")
    return found


def deploy(tx: Tx, deployment: Deployment) -> None:
    where = (deployments.c.number == deployment.number, deployments.c.target == deployment.target)
    tx.execute(delete(deployments).where(*where))
    tx.execute(insert(deployments).values(**deployment.__dict__))


def deployed(tx: Tx, number: int, target: str) -> Deployment | None:
    query = select(deployments).where(deployments.c.number == number, deployments.c.target == target)
    row = tx.execute(query).first()
    return Deployment(**row._mapping) if row else None


def number_exists(tx: Tx, number: int) -> bool:
    used = select(runs.c.id).where(runs.c.number == number)
    return tx.execute(used).first() is not None or bool(
        tx.execute(select(deployments.c.target).where(deployments.c.number == number)).first()
    )


def given(tx: Tx, client: str, digest: str) -> bool:
    """Has this package been deployed to ``client``, by console or as a participant of a run?"""
    asked = {"client": client, "digest": digest}
    return _TAKING.first(tx, **asked) is not None or _DEPLOYED_TO.first(tx, **asked) is not None
