"""Questions of an admin to a client: asked, answered, or withdrawn; exactly one of the last two happens.

In between a client says that it begins with what would change something: it does not, where nobody waits any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.tables import asks


@dataclass(frozen=True)
class Ask:
    id: str
    client: str
    name: str
    args: Sequence[str]
    by: str
    state: str
    answer: Any
    at: float
    event: str = ""


_OPEN = or_(asks.c.state == "pending", asks.c.state == "begun")
_PENDING = Prepared(select(asks).where(asks.c.client == bindparam("client"), _OPEN).order_by(asks.c.at, asks.c.id))
_PUT = Prepared(insert(asks).values({column.name: bindparam(column.name) for column in asks.c}))
_MINE: Any = (asks.c.id == bindparam("which"), asks.c.client == bindparam("whose"), _OPEN)
_BEGIN = Prepared(update(asks).where(*_MINE).values(state="begun"))
_ANSWER = Prepared(update(asks).where(*_MINE).values(state="answered", answer=bindparam("said")))
_IN_STATE = Prepared(select(asks).where(asks.c.id == bindparam("which"), asks.c.state == bindparam("how")))
_END = Prepared(delete(asks).where(asks.c.id == bindparam("which")))


def put(tx: Tx, ask: Ask) -> None:
    _PUT.run(tx, **ask.__dict__)


def pending(tx: Tx, client: str, in_hand: Collection[str]) -> Ask | None:
    """The oldest question for ``client`` that it does not have in hand already."""
    return next((Ask(*row) for row in _PENDING.rows(tx, client=client) if row[0] not in in_hand), None)


def begin(tx: Tx, ask_id: str, client: str) -> bool:
    """The client is about to carry it out; False when it was withdrawn (or is not this client's)."""
    return _BEGIN.run(tx, which=ask_id, whose=client) == 1


def answer(tx: Tx, ask_id: str, client: str, value: dict[str, Any]) -> bool:
    """Keep the answer; False when the question was withdrawn (or is not this client's)."""
    return _ANSWER.run(tx, which=ask_id, whose=client, said=value) == 1


def withdraw(tx: Tx) -> None:
    """End the waiting for every answer that has not come."""
    tx.execute(update(asks).where(_OPEN).values(state="withdrawn"))


def end(tx: Tx, ask_id: str) -> bool:
    """Nobody waits for the answer any more: it has been read, or will be refused when it comes.

    Returns whether the client is carrying it out just now.
    """
    begun = _IN_STATE.first(tx, which=ask_id, how="begun") is not None
    _END.run(tx, which=ask_id)
    return begun


def answered(tx: Tx, ask_id: str) -> Ask | None:
    row = _IN_STATE.first(tx, which=ask_id, how="answered")
    return Ask(*row) if row else None
