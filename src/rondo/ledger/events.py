"""What happened, numbered: the stream that ``watch`` and every live view follow, and can take up again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from rondo.ledger.ledger import Tx
from rondo.ledger.tables import events, settings

_NOTES = 5000  # of progress, that are looked through for the last one of each client


@dataclass(frozen=True)
class Event:
    number: int
    at: float
    run: int
    kind: str
    data: Mapping[str, Any]


_RECORD = insert(events)
_AFTER = select(events).where(events.c.number > bindparam("after")).order_by(events.c.number).limit(bindparam("most"))
_FIRST = select(func.min(events.c.number)).where(events.c.run == bindparam("run")).scalar_subquery()
_AFTER_OF_RUN = _AFTER.where((events.c.run == bindparam("run")) | ((events.c.run == 0) & (events.c.number > _FIRST)))


def record(tx: Tx, now: float, run: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Append an event; ``run`` 0 is the server itself."""
    tx.execute(_RECORD, {"at": now, "run": run, "kind": kind, "data": dict(data or {})})


def replace(tx: Tx, now: float, run: int, kind: str, data: Mapping[str, Any], gone: Collection[int]) -> int:
    """Append an event in place of those of its kind with the numbers ``gone``; returns its number."""
    if gone:
        tx.execute(events.delete().where(events.c.number.in_(gone), events.c.kind == kind))
    key = tx.execute(insert(events).values(at=now, run=run, kind=kind, data=dict(data))).inserted_primary_key
    assert key is not None
    return int(key[0])


def after(tx: Tx, number: int, run: int | None = None, limit: int = 500) -> list[Event]:
    """Events after ``number``; those of ``run`` with what befell the server and its clients since it began."""
    which: dict[str, int] = {"after": number, "most": limit}
    query = _AFTER if run is None else _AFTER_OF_RUN
    return [Event(**row._mapping) for row in tx.execute(query, which if run is None else {**which, "run": run})]


def setting(tx: Tx, key: str) -> str | None:
    value = tx.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
    return None if value is None else str(value)


def put_setting(tx: Tx, key: str, value: str) -> None:
    tx.execute(settings.delete().where(settings.c.key == key))
    tx.execute(insert(settings).values(key=key, value=value))


def forget_progress(tx: Tx, run: int) -> None:
    """Drop the progress notes of a round that is over: they interest nobody any more."""
    tx.execute(events.delete().where(events.c.run == run, events.c.kind == "progress"))


def last_progress(tx: Tx, run: int) -> dict[str, str]:
    """What each client said last of its work in this round, in words (of the newest ``_NOTES`` notes)."""
    query = (
        select(events.c.data).where(events.c.run == run, events.c.kind == "progress").order_by(events.c.number.desc())
    )
    said: dict[str, str] = {}
    for data in tx.execute(query.limit(_NOTES)).scalars():
        share = f" {data['fraction']:.0%}" if data["fraction"] > 0 else ""
        said.setdefault(data["client"], f"its own work: {data['phase']}{share}")
    return said
