"""The audit log of the server as rows: written in the transaction of what they tell, each bound to the one before.

``rondo.base.chain`` says what an entry is and how the chain is made; ``rondo.server.audit`` copies rows to the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import bindparam, delete, insert, select

from rondo.base.chain import START, Entry, Head, Link, entry, linked
from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared, Row
from rondo.ledger.tables import audit, audit_heads

_LAST = Prepared(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1))
_AFTER = Prepared(
    select(audit).where(audit.c.number > bindparam("after")).order_by(audit.c.number).limit(bindparam("most"))
)
_AT = Prepared(select(audit).where(audit.c.number == bindparam("number")))
_ADD = Prepared(insert(audit).values({column.name: bindparam(column.name) for column in audit.c}))


def tell(tx: Tx, told: Entry) -> str:
    """Add what ``rondo.base.chain.entry`` made; returns the name of its event."""
    copy(tx, [linked(head(tx), told)])
    return told.event


def copy(tx: Tx, links: Sequence[Link]) -> None:
    """Add entries whose place in the chain is fixed already."""
    for link in links:
        _ADD.run(tx, number=link.head.number, hash=link.head.hash, **link.entry.__dict__)


def head(tx: Tx) -> Head:
    """Where the chain stands."""
    row = _LAST.first(tx)
    return Head(*row) if row else START


def get(tx: Tx, number: int) -> Link | None:
    row = _AT.first(tx, number=number)
    return _link(row) if row else None


def after(tx: Tx, number: int, most: int = 1000) -> list[Link]:
    """At most so many entries after ``number``, in order."""
    return [_link(row) for row in _AFTER.rows(tx, after=number, most=most)]


def everything(tx: Tx) -> Iterator[Link]:
    """All entries in order, some at a time."""
    number = -1
    while found := after(tx, number):
        yield from found
        number = found[-1].head.number


def anchor(tx: Tx, at: float, client: str, told: Head) -> None:
    """Write down where the chain of a client's own log stands, as the client tells it: it cannot take that back.

    Nothing is written where it is known already.
    """
    where = audit_heads.c.client == client
    row = tx.execute(select(audit_heads.c.number, audit_heads.c.hash).where(where)).first()
    before = Head(*row) if row else START
    if told == before:
        return
    back = told.number <= before.number
    text = f"{told} is behind {before}: its log was cut or begun anew" if back else str(told)
    tell(tx, entry(at, client, "audit_head", text))
    tx.execute(delete(audit_heads).where(where))
    tx.execute(insert(audit_heads).values(client=client, number=told.number, hash=told.hash))


def _link(row: Row) -> Link:
    number, event, ref, at, user, action, message, digest = row
    return Link.of(Entry(event, at, user, action, message, ref), Head(number, digest))
