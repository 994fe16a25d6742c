"""Rounds and what clients contributed to them. An update counts once its row is here; closing a round is the
transaction that fixes which rows count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, select, update

from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.runs import OPEN, participant
from rondo.ledger.runs import get as get_run
from rondo.ledger.tables import contributions, declines, metrics, rounds, runs
from rondo.rounds.crossing import CROSSING, asked


@dataclass(frozen=True)
class RoundRow:
    run: int
    round: int
    task: str  # train, validate, collect, cross
    state: str  # open, folding, committed, failed
    version: int
    opened_at: float
    enough_at: float | None
    ended_at: float | None


@dataclass(frozen=True)
class Contribution:
    run: int
    round: int
    task: str
    client: str
    digest: str
    size: int
    kind: str
    samples: float
    steps: float
    metrics: Mapping[str, float]
    local_metrics: Mapping[str, float]
    omitted: Sequence[str]
    seconds: float
    at: float


Key = tuple[int, int, str]  # run, round, task


def _is(table: Any, key: Key) -> Any:
    return and_(table.c.run == key[0], table.c.round == key[1], table.c.task == key[2])


_BOUND: Any = (bindparam("run"), bindparam("round"), bindparam("task"))
_GET = Prepared(select(rounds).where(_is(rounds, _BOUND)))
_CURRENT = Prepared(select(rounds).where(rounds.c.run == bindparam("run")).order_by(rounds.c.round.desc()).limit(1))
_ACCEPTED = Prepared(select(contributions).where(_is(contributions, _BOUND)).order_by(contributions.c.client))
_ANSWERED = select(contributions.c.client).where(
    _is(contributions, _BOUND), contributions.c.client == bindparam("client")
)
_HAS_ANSWERED = Prepared(_ANSWERED)
_DONE = Prepared(
    _ANSWERED.union_all(
        select(declines.c.client).where(_is(declines, _BOUND), declines.c.client == bindparam("client"))
    )
)
_COUNTS = Prepared(_ANSWERED.where(contributions.c.digest == bindparam("digest")))
_DECLINED = Prepared(
    select(declines.c.client, declines.c.failure)
    .where(_is(declines, _BOUND))
    .order_by(declines.c.at, declines.c.client)
)
_LAST_COUNTED = Prepared(
    select(func.max(contributions.c.round)).where(
        contributions.c.run == bindparam("run"),
        contributions.c.client == bindparam("client"),
        contributions.c.task == "train",
    )
)
_OPEN = Prepared(
    insert(rounds).values(
        {name: bindparam(name) for name in ("run", "round", "task", "version", "opened_at")} | {"state": "open"}
    )
)
_ENOUGH = Prepared(
    update(rounds).where(_is(rounds, _BOUND), rounds.c.enough_at.is_(None)).values(enough_at=bindparam("now"))
)
_CLOSE = Prepared(update(rounds).where(_is(rounds, _BOUND), rounds.c.state == "open").values(state="folding"))
_END = Prepared(update(rounds).where(_is(rounds, _BOUND)).values(state=bindparam("after"), ended_at=bindparam("now")))
_CONTRIBUTE = Prepared(insert(contributions).values({one.name: bindparam(one.name) for one in contributions.c}))
_MEASURE = Prepared(insert(metrics).values({one.name: bindparam(one.name) for one in metrics.c}))


def _named(key: Key) -> dict[str, Any]:
    return {"run": key[0], "round": key[1], "task": key[2]}


def open_round(tx: Tx, key: Key, version: int, now: float) -> RoundRow:
    """Open the round, or find it as it was when the server died."""
    found = get(tx, key)
    if found is None:
        _OPEN.run(tx, **_named(key), version=version, opened_at=now)
        found = get(tx, key)
        assert found is not None
    return found


def get(tx: Tx, key: Key) -> RoundRow | None:
    row = _GET.first(tx, **_named(key))
    return RoundRow(*row) if row else None


def current(tx: Tx, run: int) -> RoundRow | None:
    """The newest round of ``run``, whatever its state."""
    row = _CURRENT.first(tx, run=run)  # by its number: a clock may go back
    return RoundRow(*row) if row else None


def is_asked(tx: Tx, run: int, client: str) -> bool:
    """Whether the newest round of ``run`` (before the first: that one) is for ``client``."""
    this, part = current(tx, run), participant(tx, run, client)
    return part is not None and asked(this.task if this else "train", part.state, part.cross)


def last_committed(tx: Tx, run: int) -> int | None:
    where = (rounds.c.run == run, rounds.c.task == "train", rounds.c.state == "committed")
    return tx.execute(select(func.max(rounds.c.round)).where(*where)).scalar()


def note_enough(tx: Tx, key: Key, now: float) -> None:
    _ENOUGH.run(tx, **_named(key), now=now)


def close_round(tx: Tx, key: Key) -> list[Contribution]:
    """From here on nothing more counts; returns what does, by client name."""
    _CLOSE.run(tx, **_named(key))
    return accepted(tx, key)


def end_round(tx: Tx, key: Key, state: str, now: float) -> None:
    _END.run(tx, **_named(key), after=state, now=now)


def refusal(tx: Tx, run: int, round_number: int, task: str, client: str) -> str:
    """Why a contribution of ``client`` would not count now; "" when it would."""
    now, part = current(tx, run), participant(tx, run, client)
    if part is None or part.state == "stopped":
        return f"Contribution refused: {client} takes no part in run {run}"
    if (task in CROSSING or part.state == "validating") and not asked(task, part.state, part.cross):
        return f"Contribution refused: round {round_number} of run {run} is not for {client}"
    of = get_run(tx, run)
    if of is None or of.state not in OPEN:
        return f"Contribution refused: run {run} is over"
    here = now is not None and (now.round, now.task) == (round_number, task)
    if now is None or not (here or get(tx, (run, round_number, task))):
        return f"Contribution refused: round {round_number} of run {run} is not open"
    if not here:
        return f"Contribution refused: it is for round {round_number}, the current round is {now.round}"
    if has_answered(tx, (run, round_number, task), client):
        return f"Contribution refused: {client} has already contributed to round {round_number}"
    if now.state != "open":
        return f"Contribution refused: round {round_number} is closed, aggregation has begun"
    return ""


def accept(tx: Tx, contribution: Contribution) -> str:
    """Count the contribution. Returns "" or the reason why it does not count (then nothing is written)."""
    c = contribution
    reason = refusal(tx, c.run, c.round, c.task, c.client)
    if reason:
        return reason
    _CONTRIBUTE.run(tx, **c.__dict__)
    of = {"run": c.run, "round": c.round, "client": c.client, "samples": c.samples}
    kept = () if c.task in CROSSING else (("global", c.metrics), ("local", c.local_metrics))
    for scope, values in kept:  # of the run's own models: a curve of them is no matrix
        for name, value in values.items():
            _MEASURE.run(tx, **of, scope=scope, name=name, value=value)
    return ""


def accepted(tx: Tx, key: Key) -> list[Contribution]:
    return [Contribution(*row) for row in _ACCEPTED.rows(tx, **_named(key))]


def of_number(tx: Tx, number: int) -> list[Contribution]:
    """What counted in the committed rounds of every run with this run number: by run, round and client. Those of
    cross-site validation have files of their own."""
    same = (rounds.c.run == contributions.c.run) & (rounds.c.round == contributions.c.round)
    joined = select(contributions).join(rounds, same & (rounds.c.task == contributions.c.task))
    joined = joined.join(runs, runs.c.id == contributions.c.run)
    order = (contributions.c.run, contributions.c.round, contributions.c.task, contributions.c.client)
    where = (runs.c.number == number, rounds.c.state == "committed", rounds.c.task.not_in(CROSSING))
    query = joined.where(*where).order_by(*order)
    return [Contribution(**row._mapping) for row in tx.execute(query)]


def has_answered(tx: Tx, key: Key, client: str) -> bool:
    return _HAS_ANSWERED.first(tx, **_named(key), client=client) is not None


def counts_already(tx: Tx, key: Key, client: str, digest: str) -> bool:
    """Is this very file the contribution of ``client``?"""
    return _COUNTS.first(tx, **_named(key), client=client, digest=digest) is not None


def is_done(tx: Tx, key: Key, client: str) -> bool:
    """Has ``client`` contributed, or does it sit the round out?"""
    return _DONE.first(tx, **_named(key), client=client) is not None


def answered(tx: Tx, key: Key) -> dict[str, float]:
    """Everybody who has contributed or sits the round out, and since when (seconds since the epoch)."""
    tables = (declines, contributions)
    asked = [select(table.c.client, table.c.at).where(_is(table, key)) for table in tables]
    return {client: at for query in asked for client, at in tx.execute(query)}


def decline(tx: Tx, key: Key, client: str, failure: Mapping[str, Any], now: float) -> bool:
    """This client sits the round out, and says why; the first reason is kept."""
    if declined(tx, key).get(client) is not None or has_answered(tx, key, client):
        return False
    tx.execute(insert(declines).values(**_named(key), client=client, failure=dict(failure), at=now))
    return True


def declined(tx: Tx, key: Key) -> dict[str, Mapping[str, Any]]:
    return dict(_DECLINED.rows(tx, **_named(key)))


def last_counted(tx: Tx, run: int, client: str) -> int | None:
    """The round of the last update of ``client`` that counted in ``run``."""
    row = _LAST_COUNTED.first(tx, run=run, client=client)
    return row[0] if row else None


def counts(tx: Tx, run: int) -> dict[str, tuple[int, int]]:
    """Per client: last accepted round, number of contributions."""
    query = (
        select(contributions.c.client, func.max(contributions.c.round), func.count())
        .where(contributions.c.run == run, contributions.c.task == "train")
        .group_by(contributions.c.client)
    )
    return {client: (last, number) for client, last, number in tx.execute(query)}


def metric_rows(tx: Tx, run: int) -> list[dict[str, Any]]:
    query = (
        select(metrics)
        .where(metrics.c.run == run)
        .order_by(metrics.c.round, metrics.c.client, metrics.c.scope, metrics.c.name)
    )
    return [dict(row._mapping) for row in tx.execute(query)]
