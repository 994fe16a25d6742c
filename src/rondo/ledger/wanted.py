"""What the files of a server are still wanted for. A file that no row speaks of may go; see ``rondo.server.sweeping``.

Whoever adds a column that names a file adds it here: a test holds that no such column is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, delete, select, union

from rondo.ledger import crossing
from rondo.ledger.ledger import Tx
from rondo.ledger.models import Model, OfferRow
from rondo.ledger.runs import OPEN
from rondo.ledger.tables import (
    asks,
    contributions,
    deployments,
    models,
    offers,
    packages,
    participants,
    rounds,
    sessions,
)
from rondo.ledger.tables import runs as run_table
from rondo.rounds.crossing import UPLOADS


@dataclass(frozen=True)
class Wanted:
    """``models``: digest of a model, or of what belongs to it -> number of the newest run that keeps it.
    ``packages``: digests. ``updates``: (client, digest) of what counts in a round that is not over -> run number.
    ``offers``: uploads that were begun. ``staged``: names in the staging area. ``under_way``: id -> number of the
    runs that are not over."""

    models: Mapping[str, int]
    packages: frozenset[str]
    updates: Mapping[tuple[str, str], int]
    offers: tuple[OfferRow, ...]
    staged: frozenset[str]
    under_way: Mapping[int, int]

    @cached_property
    def uploads(self) -> frozenset[tuple[str, str]]:
        """(client, digest) of ``offers``."""
        return frozenset((row.client, row.digest) for row in self.offers)


def wanted(tx: Tx) -> Wanted:
    number = (run_table.c.id, run_table.c.number)
    numbers = {run: of for run, of in tx.execute(select(*number))}
    open_ones = {run: of for run, of in tx.execute(select(*number).where(run_table.c.state.in_(OPEN)))}
    return Wanted(
        models={digest: of for run, of in open_ones.items() for digest in crossing.files(tx, run)}
        | {digest: numbers[model.run] for model in _versions(tx, models.c.kept) for digest in model.files},
        packages=frozenset(tx.execute(_packages()).scalars()),
        updates={(client, digest): open_ones[run] for client, digest, run in tx.execute(_counting())},
        offers=tuple(OfferRow(**row._mapping) for row in tx.execute(select(offers))),
        staged=frozenset(tx.execute(select(packages.c.name)).scalars()),
        under_way=open_ones,
    )


def _packages() -> CompoundSelect[Any]:
    return union(
        select(run_table.c.package),
        select(participants.c.package),
        select(deployments.c.package),
        select(packages.c.digest),
    )


def _counting() -> Select[Any]:
    """Updates that are folded yet, or again after a kill."""
    same = (rounds.c.run == contributions.c.run) & (rounds.c.round == contributions.c.round)
    query = select(contributions.c.client, contributions.c.digest, contributions.c.run)
    query = query.join(rounds, same & (rounds.c.task == contributions.c.task))
    query = query.join(run_table, run_table.c.id == contributions.c.run)
    going_on = (rounds.c.state.in_(("open", "folding")), run_table.c.state.in_(OPEN))
    return query.where(contributions.c.task.in_(UPLOADS), *going_on)


def forgotten(tx: Tx, run: int) -> list[str]:
    """Digests of models of ``run``, and of what belonged to them, that nobody keeps any more: when it is over, that is
    true of all local models that sites have sent."""
    kept = set(wanted(tx).models)
    gone = {digest for model in _versions(tx, models.c.run == run, models.c.kept.is_(False)) for digest in model.files}
    gone |= crossing.files(tx, run)
    return sorted(gone - kept)


def _versions(tx: Tx, *where: ColumnElement[bool]) -> Iterator[Model]:
    """By run, so that of two who keep the same file the newest has it."""
    for row in tx.execute(select(models).where(*where).order_by(models.c.run)):
        yield Model(**row._mapping)


# ---- rows that are no history


def drop_asks(tx: Tx, before: float) -> int:
    """Forget questions older than ``before`` that are answered or withdrawn; returns how many."""
    return tx.execute(delete(asks).where(asks.c.state != "pending", asks.c.at < before)).rowcount


def drop_sessions(tx: Tx, role: str, before: float) -> int:
    """Forget sessions that ended before ``before``; returns how many. Who comes back later logs in anew."""
    where = (sessions.c.role == role, sessions.c.state == "gone", sessions.c.seen_at < before)
    return tx.execute(delete(sessions).where(*where)).rowcount
