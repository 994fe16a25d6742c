"""Who is logged in: token hashes bound to certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.tables import sessions


@dataclass(frozen=True)
class Session:
    token: str  # hash
    instance: str
    name: str
    role: str
    fingerprint: str
    address: str
    version: str
    state: str
    reason: str
    joined_at: float
    seen_at: float
    leave: str
    capabilities: Sequence[str] = field(default_factory=list)
    leave_by: str = ""
    leave_event: str = ""


_PRESENT: Any = (sessions.c.role == bindparam("role"), sessions.c.state != "gone")
_NAMES = Prepared(select(sessions.c.instance).where(*_PRESENT))
_SEEN: Any = (sessions.c.instance, sessions.c.name, sessions.c.token, sessions.c.state)
_HERE = Prepared(select(*_SEEN).where(*_PRESENT).order_by(sessions.c.instance))
_BY_TOKEN = Prepared(select(sessions).where(sessions.c.token == bindparam("token")))


def add(tx: Tx, session: Session) -> None:
    tx.execute(insert(sessions).values(**session.__dict__))


def by_token(tx: Tx, token: str) -> Session | None:
    row = _BY_TOKEN.first(tx, token=token)
    return Session(*row) if row else None


def present(tx: Tx, role: str = "client") -> list[Session]:
    """Sessions that count as logged in (here, or away for now), by instance name."""
    query = select(sessions).where(*_PRESENT).order_by(sessions.c.instance)
    return [Session(*row) for row in tx.execute(query, {"role": role})]  # by place: there may be thousands


def here(tx: Tx) -> list[tuple[str, str, str, str]]:
    """Of every client that counts as logged in, by instance name: that, its kit, its token's hash, its state."""
    return [(instance, kit, token, state) for instance, kit, token, state in _HERE.rows(tx, role="client")]


def kits(tx: Tx) -> dict[str, str]:
    """The name of the kit that each client runs from, by instance name, in this order."""
    return {instance: kit for instance, kit, _, _ in here(tx)}


def names(tx: Tx, role: str = "client") -> set[str]:
    """The instance names that are taken: those of the sessions that ``present`` returns."""
    return {name for (name,) in _NAMES.rows(tx, role=role)}


def count(tx: Tx) -> int:
    query = select(func.count()).select_from(sessions).where(*_PRESENT)
    return int(tx.execute(query, {"role": "client"}).scalar_one())


def able(tx: Tx, token: str, version: str, capabilities: Sequence[str]) -> None:
    """What the client says it is and can: it may have come back as another version."""
    values = {"version": version, "capabilities": list(capabilities)}
    tx.execute(update(sessions).where(sessions.c.token == token).values(**values))


def revive(tx: Tx, token: str, fingerprint: str, address: str, now: float) -> None:
    """Take up an earlier session again: same instance, same token, perhaps a renewed certificate."""
    values = {
        "fingerprint": fingerprint,
        "address": address,
        "state": "here",
        "reason": "",
        "seen_at": now,
        "leave": "",
    }
    tx.execute(update(sessions).where(sessions.c.token == token).values(**values))


def mark(tx: Tx, token: str, state: str, reason: str, now: float) -> None:
    tx.execute(update(sessions).where(sessions.c.token == token).values(state=state, reason=reason, seen_at=now))


def seen(tx: Tx, times: dict[str, float]) -> None:
    """Write down when each token was last heard of."""
    known = (sessions.c.token == bindparam("known"), sessions.c.seen_at < bindparam("heard"))
    if times:
        told = [{"known": token, "heard": at} for token, at in times.items()]
        tx.execute(update(sessions).where(*known).values(seen_at=bindparam("heard")), told)


def order_leave(tx: Tx, instance: str, how: str, by: str = "", event: str = "") -> None:
    """``by``: who gave the order; ``event``: of that in the audit log."""
    where = (sessions.c.instance == instance, sessions.c.role == "client", sessions.c.state != "gone")
    tx.execute(update(sessions).where(*where).values(leave=how, leave_by=by, leave_event=event))


def withdraw_leaves(tx: Tx) -> None:
    """Nobody is to leave: whoever ordered it waits no more."""
    tx.execute(update(sessions).where(sessions.c.leave != "").values(leave=""))
