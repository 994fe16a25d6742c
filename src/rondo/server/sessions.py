"""Sessions: who is logged in, by certificate and token; who is here, away, or gone.

A client is alive while its waiting call is open, its heartbeat comes or its bytes move. ``here`` and ``away`` tell
people about the connection; only silence for longer than ``heart_beat_timeout`` removes a client (spec 6.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from rondo.base.chain import entry
from rondo.base.errors import BadInput, Refused, RondoError, YourFault
from rondo.base.ids import is_token, new_token, token_hash
from rondo.ledger import audit, events
from rondo.ledger import sessions as rows
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.net.calls import Call, Peer
from rondo.net.errors import with_status
from rondo.pki.kit import Kit
from rondo.pki.revocation import Revoked
from rondo.server.audit import Doorbook, log_in
from rondo.server.store import Store
from rondo.wire import OLDEST, PROTOCOL
from rondo.wire import rondo_pb2 as pb

log = logging.getLogger("rondo.sessions")

HEARTBEAT = 60.0  # seconds, as in Clara
AWAY_AFTER = 3.0  # seconds without a call before people are told
ADMIN_IDLE = 3600.0  # seconds without a call until an admin has to log in again (spec 3.3)
ADMINS = ("admin",)  # who alone may make a call
MOST_CAPABILITIES = 100
SWEEP = 1.0  # seconds between looks at the table


class Sessions:
    """``back`` is told of every client that has logged in, or is heard of again after it was removed; ``gone`` of
    every one that has quit or was removed."""

    def __init__(
        self,
        store: Store,
        kit: Kit,
        revoked: Callable[[str], Revoked | None],
        back: Callable[[Session], Awaitable[None]],
        gone: Callable[[Session], None],
    ) -> None:
        self._store = store
        self._kit = kit
        self._revoked = revoked
        self._back = back
        self._gone = gone
        self.door = Doorbook(store)
        self._known: dict[str, Session] = {}
        self._seen: dict[str, float] = {}
        self._waiting: Counter[str] = Counter()

    async def load(self) -> None:
        """Know everybody again after a restart; nobody is blamed for the time the server was away."""
        for session in [s for role in ("client", "admin") for s in await self._store.read(rows.present, role)]:
            self._known[session.token] = session
            self._seen[session.token] = self._store.clock.now()

    # ---- log in

    async def register(self, hello: pb.Hello, peer: Peer) -> pb.Welcome:
        """Raises ``Refused`` or ``BadInput`` with the texts and status codes of spec 3.2."""
        try:
            self._check(hello, peer)
            session, token, news = await self._store.do(self._admit, hello, peer)
        except YourFault as error:
            await self.door.refused(peer, "log_in", error, f"{hello.role} {hello.name[:64]} of {hello.project[:64]}")
            raise
        self._known[session.token] = session
        self._seen[session.token] = self._store.clock.now()
        if news:
            log.info(
                "Client: New client %s joined. Session: %s  Total clients: %d",
                f"{session.instance}@{session.address}",
                session.token[:8],
                self._total(),
            )
        if session.role == "client":
            await self._back(session)
        return pb.Welcome(
            token=token,
            instance=session.instance,
            heartbeat=min(HEARTBEAT, self._kit.settings.heart_beat_timeout / 3),
            protocol=min(PROTOCOL, hello.protocol),
            project=self._kit.project,
        )

    def _check(self, hello: pb.Hello, peer: Peer) -> None:
        self._not_revoked(peer)
        if hello.project != self._kit.project:
            raise BadInput(
                "Requested task does not match the current server task", where=f"{hello.project} != {self._kit.project}"
            )
        if hello.name != peer.common_name:
            refused = Refused(
                "client ID does not match the SSL certificate CN", where=f"{hello.name} != {peer.common_name}"
            )
            raise with_status(refused, "UNAUTHENTICATED")
        if hello.role not in ("client", "admin"):
            raise BadInput(f"unknown role {hello.role!r}")
        if hello.role != peer.role:
            raise Refused(
                f"this certificate is for a {peer.role or 'stranger'}, not for a {hello.role}", where=hello.name
            )
        if hello.protocol < OLDEST:
            raise Refused(
                f"protocol {hello.protocol} is too old", hint=f"this server speaks {OLDEST} to {PROTOCOL}: upgrade"
            )

    def _not_revoked(self, peer: Peer) -> None:
        entry = self._revoked(peer.fingerprint)
        if entry is not None:
            why = f"this certificate has been revoked{': ' if entry.reason else ''}{entry.reason}"
            raise Refused(why, where=peer.common_name, hint="ask the lead IT for a new kit")

    def _admit(self, tx: Tx, hello: pb.Hello, peer: Peer) -> tuple[Session, str, bool]:
        now = self._store.clock.now()
        said = [word[:64] for word in hello.capabilities[:MOST_CAPABILITIES]]
        taken = rows.names(tx, hello.role)
        earlier = rows.by_token(tx, token_hash(hello.token)) if hello.token else None
        own = earlier is not None and (earlier.name, earlier.role) == (peer.common_name, hello.role)
        if earlier and own and (earlier.state != "gone" or earlier.instance not in taken):
            self._room_for(hello.role, len(taken) - (earlier.instance in taken))
            rows.revive(tx, earlier.token, peer.fingerprint, peer.address, now)
            rows.able(tx, earlier.token, hello.version[:32], said)
            events.record(tx, now, 0, "client_back", {"client": earlier.instance})
            log_in(tx, now, earlier.instance, peer, hello)
            now_here = replace(earlier, fingerprint=peer.fingerprint, state="here", leave="")
            return replace(now_here, version=hello.version[:32], capabilities=said), hello.token, False
        self._room_for(hello.role, len(taken))
        # A client makes its token itself, and keeps it before it asks: an answer that is lost is only asked for again.
        token = hello.token if earlier is None and is_token(hello.token) else new_token()
        instance = hello.name if hello.role == "admin" else _instance(hello.name, taken)
        session = Session(
            token_hash(token), instance, hello.name, hello.role, peer.fingerprint, peer.address, hello.version[:32],
            "here", "", now, now, "", said,
        )  # fmt: skip
        rows.add(tx, session)
        log_in(tx, now, instance, peer, hello)
        if hello.role == "client":
            events.record(tx, now, 0, "client_joined", {"client": instance, "address": peer.address})
        return session, token, hello.role == "client"

    def _room_for(self, role: str, others: int) -> None:
        if role == "client" and others >= self._kit.settings.max_num_clients:
            most = self._kit.settings.max_num_clients
            refused = Refused("Maximum number of clients reached", where=f"max_num_clients {most}")
            raise with_status(refused, "RESOURCE_EXHAUSTED")

    def _total(self) -> int:
        return sum(session.role == "client" for session in self._known.values())

    # ---- every later call

    async def who(self, call: Call, *roles: str) -> Session:
        """The session behind a call. Raises ``Refused``: unknown token, another certificate, revoked, wrong role."""
        if not call.token:
            raise _unknown(roles, "no token") if roles == ADMINS else BadInput("no token", hint="register first")
        try:
            return await self._who(call, *roles)
        except Refused as error:
            await self.door.refused(call.peer, call.method, error)
            raise

    async def _who(self, call: Call, *roles: str) -> Session:
        self._not_revoked(call.peer)
        session = self._known.get(token_hash(call.token)) or await self._returning(token_hash(call.token), call.peer)
        if session is None:
            raise _unknown(roles, "no user")
        if session.fingerprint != call.peer.fingerprint:
            refused = Refused("this token belongs to another certificate", where=session.instance)
            raise with_status(refused, "UNAUTHENTICATED")
        if session.role not in roles:
            article = "an" if session.role == "admin" else "a"
            raise Refused(f"{article} {session.role} may not do this", where=session.instance)
        self._seen[session.token] = self._store.clock.now()
        return session

    async def _returning(self, token: str, peer: Peer) -> Session | None:
        """A removed client that is heard of again gets its place back, if nobody else has taken its name."""

        def take_back(tx: Tx) -> Session | None:
            found = rows.by_token(tx, token)
            if found is None or found.state != "gone" or found.fingerprint != peer.fingerprint:
                return found  # of another certificate: ``who`` refuses it, and nothing has changed
            if (found.role, found.reason) != ("client", "silent"):
                return None
            if found.instance in rows.names(tx):
                return None
            self._room_for(found.role, rows.count(tx))
            rows.revive(tx, token, found.fingerprint, found.address, self._store.clock.now())
            events.record(tx, self._store.clock.now(), 0, "client_back", {"client": found.instance})
            audit.tell(tx, entry(self._store.clock.now(), found.instance, "log_in", "heard of again"))
            return replace(found, state="here", leave="")

        session = await self._store.do(take_back)
        if session is not None and session.fingerprint == peer.fingerprint:
            self._known[token] = session
            if session.role == "client":
                await self._back(session)
        return session

    @asynccontextmanager
    async def waiting(self, session: Session) -> AsyncIterator[None]:
        """Around a waiting call: while it is open the client is here."""
        self._waiting[session.token] += 1
        try:
            if self._known.get(session.token, session).state == "away":
                await self._mark(session.token, "here", "")
            yield
        finally:
            self._waiting[session.token] -= 1
            if self._waiting[session.token] <= 0:
                del self._waiting[session.token]
            self.heard(session)

    def heard(self, session: Session) -> None:
        """Its bytes move."""
        if session.token in self._known:
            self._seen[session.token] = self._store.clock.now()

    # ---- leaving

    async def end(self, session: Session, reason: str) -> None:
        """The client has quit or is removed; its name is free again."""
        await self._mark(session.token, "gone", reason)
        self._seen.pop(session.token, None)
        self._waiting.pop(session.token, None)
        self._store.bell.ring(f"client:{session.instance}", f"answers:{session.instance}")
        if session.role == "client":
            self._gone(session)
            how = {"silent": "Remove the dead Client.", "revoked": "Remove the revoked Client."}.get(
                reason, "Client has left."
            )
            log.info(
                "%s Name: %s Session: %s  Total clients: %d", how, session.instance, session.token[:8], self._total()
            )

    async def _mark(self, token: str, state: str, reason: str) -> None:
        session = self._known.get(token)
        if session is None:
            return

        def write(tx: Tx) -> None:
            now = self._store.clock.now()
            rows.mark(tx, token, state, reason, now)
            if state == "gone":
                audit.tell(tx, entry(now, session.instance, "log_out", f"{session.role}: {reason}"))
            if session.role == "client":
                kind = {"here": "client_back", "away": "client_away", "gone": "client_gone"}[state]
                events.record(tx, now, 0, kind, {"client": session.instance, "reason": reason})

        await self._store.do(write)
        if state == "gone":
            self._known.pop(token, None)
        else:
            self._known[token] = replace(self._known.get(token, session), state=state)

    async def sweep(self) -> None:
        """For ever: tell who is away, remove who was silent too long or is revoked, write down who was heard of."""
        written = self._store.clock.now()
        while True:
            await asyncio.sleep(SWEEP)  # the sweep is a clock, it waits for nobody
            now = self._store.clock.now()
            try:
                for session in list(self._known.values()):
                    await self._look_at(session, now)
                if now - written > HEARTBEAT / 4:
                    written = now
                    await self._store.read(rows.seen, dict(self._seen))
            except RondoError as error:  # the ledger is locked, the disk is full: the next look may do better
                log.error("sessions are not swept: %s", error)

    async def _look_at(self, session: Session, now: float) -> None:
        client, token = session.role == "client", session.token
        silent = 0.0 if self._waiting[token] else now - self._seen.get(token, now)
        if self._revoked(session.fingerprint) is not None:
            await self.end(session, "revoked")
        elif silent > (self._kit.settings.heart_beat_timeout if client else ADMIN_IDLE):
            await self.end(session, "silent")
        elif client and session.state == "here" and silent > AWAY_AFTER:
            await self._mark(token, "away", "no connection")


def _unknown(roles: tuple[str, ...], why: str) -> RondoError:
    """What is said to who has no session, in Clara's words to clients and to admins."""
    what = f"not authenticated - {why}" if roles == ADMINS else "Unknown client identity"
    return with_status(Refused(what, hint="log in again"), "UNAUTHENTICATED")


def _instance(name: str, taken: set[str]) -> str:
    """``site``, then ``site_1``, ``site_2``, ... (spec C6)."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
