"""What happened, numbered: the stream that ``watch`` and every live view follow, and can take up again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select

from rondo.ledger import audit
from rondo.ledger.audited import told_of
from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.tables import events, settings

MOST = 500  # that are read at once
_NOTES = 5000  # of progress, that are looked through for the last one of each client


@dataclass(frozen=True)
class Event:
    number: int
    at: float
    run: int
    kind: str
    data: Mapping[str, Any]


_VALUES: dict[str, Any] = {name: bindparam(name) for name in ("at", "run", "kind", "data")}
_RECORD = Prepared(insert(events).values(_VALUES))
_REPLACE = Prepared(insert(events).values(_VALUES).returning(events.c.number))
_GONE = Prepared(delete(events).where(events.c.number == bindparam("gone"), events.c.kind == bindparam("of")))
_AFTER = select(events).where(events.c.number > bindparam("after")).order_by(events.c.number).limit(bindparam("most"))
_FIRST = select(func.min(events.c.number)).where(events.c.run == bindparam("run")).scalar_subquery()
_AFTER_OF_RUN = Prepared(
    _AFTER.where((events.c.run == bindparam("run")) | ((events.c.run == 0) & (events.c.number > _FIRST)))
)
_AFTER_OF_ALL = Prepared(_AFTER)
_FORGET = Prepared(delete(events).where(events.c.run == bindparam("of"), events.c.kind == "progress"))


def record(tx: Tx, now: float, run: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Append an event; ``run`` 0 is the server itself. What belongs into the audit log is told there as well."""
    _RECORD.run(tx, at=now, run=run, kind=kind, data=dict(data or {}))
    told = told_of(now, run, kind, data or {})
    if told is not None:
        audit.tell(tx, told)


def replace(tx: Tx, now: float, run: int, kind: str, data: Mapping[str, Any], gone: Collection[int]) -> int:
    """Append an event in place of those of its kind with the numbers ``gone``; returns its number."""
    for number in gone:
        _GONE.run(tx, gone=number, of=kind)
    row = _REPLACE.first(tx, at=now, run=run, kind=kind, data=dict(data))
    assert row is not None
    return int(row[0])


def after(tx: Tx, number: int, run: int | None = None, limit: int = MOST) -> list[Event]:
    """Events after ``number``; those of ``run`` with what befell the server and its clients since it began."""
    if run is None:
        return [Event(*row) for row in _AFTER_OF_ALL.rows(tx, after=number, most=limit)]
    return [Event(*row) for row in _AFTER_OF_RUN.rows(tx, after=number, most=limit, run=run)]


def setting(tx: Tx, key: str) -> str | None:
    value = tx.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
    return None if value is None else str(value)


def put_setting(tx: Tx, key: str, value: str) -> None:
    tx.execute(settings.delete().where(settings.c.key == key))
    tx.execute(insert(settings).values(key=key, value=value))


def forget_progress(tx: Tx, run: int) -> None:
    """Drop the progress notes of a round that is over: they interest nobody any more."""
    _FORGET.run(tx, of=run)


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
