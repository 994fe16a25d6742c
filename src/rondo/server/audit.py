"""The server's audit.log: a copy of the ledger's entries, and what is told of those who are refused at the door.

Theory of operation. An entry counts when its transaction is committed; the file follows, all that came within a
second in one write. So a kill between the two costs nothing: at the start the file is completed from the ledger. The
other way round (a loss of power can cost a ledger that is not synced its last transactions, and leave the file its
lines) the ledger takes the entries back from the file and says so. Where the two are not one chain, both are left as
they are, and the log says so from there on: ``rondo audit verify`` finds the place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rondo.base.chain import Chain, Head, Link, entry
from rondo.base.errors import BadInput, Refused, RondoError
from rondo.base.journal import Journal, lines
from rondo.jobs.facts import PackageFacts
from rondo.ledger import audit
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.net.calls import Peer
from rondo.policy.actions import Action
from rondo.server.notes import Ration
from rondo.server.rights import Rights
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb

log = logging.getLogger("rondo.audit")

TOGETHER = 1.0  # seconds: what is told within them is one write
AT_ONCE = 200  # lines in one write: a millisecond or two
REFUSALS = (20, 10.0)  # of one certificate that are told at once, and seconds until one more may follow
ANCHOR = 30.0  # seconds between two heads of one client that are written down


class AuditFile:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._journal = Journal(store.folder)
        self._written = 0
        self._said = ""

    async def open(self) -> None:
        """Bring ledger and file together, whatever a kill has left of them. Raises ``NoSpace``."""
        if self._journal.torn:
            log.warning("a torn line of %d bytes was taken off audit.log", self._journal.torn)
        end, ledger = self._journal.head, await self._store.read(audit.head)
        found = await asyncio.to_thread(self._behind, ledger) if end.number > ledger.number else []
        self._written = await self._store.do(self._together, end, found)
        await self.write()

    def _behind(self, ledger: Head) -> list[Link]:
        """What the file has after ``ledger``: of an empty ledger only the last entry, which its chain goes on from."""
        kept: list[Link] = []
        for place in lines(self._store.folder):
            with suppress(BadInput):
                link, _ = Chain(known=False).take(place.raw)
                if link and link.head.number >= max(ledger.number, 1):
                    kept = [link] if ledger.number == 0 else [*kept, link]
        if ledger.number == 0:
            return kept
        chain = Chain(ledger)
        follows = [link for link in kept if link.head.number > ledger.number and not chain.take(link.line.encode())[1]]
        return follows if kept and kept[0].head == ledger else []

    def _together(self, tx: Tx, end: Head, found: list[Link]) -> int:
        """Returns the number of the last entry that the file has (or of the ledger's, where they are not one chain)."""
        now, ledger = self._store.clock.now(), audit.head(tx)
        audit.copy(tx, found)
        last = audit.head(tx)
        known = audit.get(tx, end.number)
        if end.number and (known is None or known.head != end):
            text = f"audit.log ends with entry {end}, which is not the ledger's: it was changed outside of this server"
            audit.tell(tx, entry(now, "server", "audit_diverged", text))
            log.error(text)
            return min(end.number, last.number)
        if found:
            text = f"entries {found[0].head.number} to {end.number} were in audit.log and not in the ledger"
            audit.tell(tx, entry(now, "server", "audit_recovered", text))
            log.warning("%s, which ended with entry %d", text, ledger.number)
        return end.number

    async def follow(self) -> None:
        """For ever: write what is new."""
        while True:
            ticket = self._store.bell.ticket("events")
            try:
                await self.write()
                self._said = ""
            except RondoError as error:  # the disk is full, the ledger held: nothing is lost, it is written later
                if str(error) != self._said:
                    self._said = str(error)
                    log.error("audit.log is behind the ledger: %s", error)
            await self._store.bell.wait("events", ticket)
            await asyncio.sleep(TOGETHER)  # the pace of the file, nothing is waited for

    async def write(self) -> None:
        """Nothing is waited for between file and number: whoever is cancelled here writes no line twice."""
        while links := await self._store.read(audit.after, self._written, AT_ONCE):
            self._journal.copy(links)
            self._written = links[-1].head.number

    async def close(self) -> None:
        """Write the rest. Raises ``NoSpace``, ``LedgerBusy``: then the next start does it."""
        try:
            await self.write()
        finally:
            self._journal.close()


@asynccontextmanager
async def open_audit(store: Store) -> AsyncIterator[AuditFile]:
    """The audit log of a server that lives as long as the block. Raises ``NoSpace``."""
    file = AuditFile(store)
    await file.open()
    await store.do(audit.tell, entry(store.clock.now(), "server", "server_started"))
    try:
        yield file
    finally:
        await store.do(audit.tell, entry(store.clock.now(), "server", "server_stopped"))
        await file.close()


class Doorbook:
    """What is told of callers: whom the server did not let in, and where the chains of clients' own logs stand."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ration = Ration(store.clock, *REFUSALS)
        self._heads: dict[str, tuple[str, float]] = {}  # by instance: the last one, and when it was written down

    async def refused(self, peer: Peer, action: str, error: RondoError, claim: str = "") -> None:
        """``claim``: what the caller said it was. Rationed: who has a certificate may knock as often as they like."""
        if self._ration.take(peer.fingerprint):
            who = f"{peer.role or 'stranger'} at {peer.address}, certificate {peer.fingerprint[:16]}"
            text = f"refused: {error.what}; {who}{', as ' if claim else ''}{claim}"
            told = entry(self._store.clock.now(), peer.common_name, action, text)
            await self._store.do(audit.tell, told)

    async def head(self, session: Session, text: str, *, last: bool = False) -> None:
        """Of the client's own log, as it tells with its heartbeat, or at the ``last``; what is no head is not heard."""
        known, at = self._heads.get(session.instance, ("", -ANCHOR))
        now = self._store.clock.ticks()
        if not text or text == known or (now - at < ANCHOR and not last):
            return
        with suppress(BadInput):
            await self._store.do(audit.anchor, self._store.clock.now(), session.instance, Head.of(text))
            self._heads[session.instance] = (text, now)
        if last:
            self._heads.pop(session.instance, None)


def log_in(tx: Tx, now: float, instance: str, peer: Peer, hello: pb.Hello) -> None:
    """Somebody was let in; with it the server hears where the chain of the client's own log stands."""
    who = f"{hello.role} at {peer.address}, certificate {peer.fingerprint[:16]}, Rondo {hello.version[:32]}"
    audit.tell(tx, entry(now, instance, "log_in", who))
    if hello.audit and hello.role == "client":
        with suppress(BadInput):
            audit.anchor(tx, now, instance, Head.of(hello.audit))


async def see_allowed(
    store: Store, rights: Rights, session: Session, action: Action, facts: PackageFacts | None = None
) -> None:
    """``rights.check`` for what is no command; a refusal is told. Raises ``Refused``."""
    try:
        rights.check(session.name, action, facts=facts)
    except Refused as error:
        told = entry(store.clock.now(), session.instance, action.name.lower(), f"refused: {error.what}")
        await store.do(audit.tell, told)
        raise
