"""The door for clients. They dial in; a waiting call is answered as soon as there is something to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

from rondo.base.errors import BadInput, NotFound
from rondo.ledger import asks, rounds, runs
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.net.calls import Call
from rondo.net.lanes import Lanes
from rondo.net.transfer import OFFSET, UPLOAD, read_chunks
from rondo.net.tuning import SMALL
from rondo.policy.actions import Action
from rondo.rounds import orders
from rondo.rounds.crossing import asked
from rondo.server.audit import see_allowed
from rondo.server.downloads import chunks_at
from rondo.server.handing import engage_of, leave_of, may_pull, recall_of, work_of
from rondo.server.intake import Intake
from rondo.server.reports import Reports
from rondo.server.rights import Rights
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb

PATIENCE = 45.0  # seconds a waiting call is held at most: below what proxies cut


class Gateway:
    def __init__(self, store: Store, sessions: Sessions, intake: Intake, live: Runs, rights: Rights) -> None:
        self._store = store
        self._sessions = sessions
        self._intake = intake
        self._rights = rights
        self._reports = Reports(store, intake, live)
        self._lanes = Lanes()

    async def register(self, hello: pb.Hello, call: Call) -> pb.Welcome:
        return await self._sessions.register(hello, call.peer)

    async def beat(self, request: pb.Beat, call: Call) -> pb.BeatReply:
        session = await self._sessions.who(call, "client")
        await self._sessions.door.head(session, request.audit)
        return pb.BeatReply()

    async def quit(self, request: pb.Quit, call: Call) -> pb.QuitReply:
        session = await self._sessions.who(call, "client", "admin")
        await self._sessions.door.head(session, request.audit, last=True)
        await asyncio.shield(self._sessions.end(session, request.reason[:200] or "quit"))
        return pb.QuitReply()

    # ---- orders

    async def wait(self, request: pb.Holding, call: Call) -> pb.Order:
        """Held until there is an order for this client, at most ``patience`` seconds."""
        session = await self._sessions.who(call, "client")
        topic, clock = f"client:{session.instance}", self._store.clock
        until = clock.ticks() + min(max(0.0, request.patience), PATIENCE)  # in this order NaN is 0
        if request.phase == "preparing":
            await self._store.read(_acknowledged, session.instance, request.run, clock.now())
            self._store.bell.ring(f"answers:{session.instance}")
        async with self._sessions.waiting(session):
            while True:
                ticket = self._store.bell.ticket(topic)
                order = await self._store.read(_order, session, request)
                left = until - clock.ticks()
                if not order.HasField("nothing") or left <= 0:
                    return await self._with_model(order)
                await self._store.bell.wait(topic, ticket, left)
                await self._sessions.who(call, "client")  # it may have been revoked or removed meanwhile

    async def _with_model(self, order: pb.Order) -> pb.Order:
        """A model that is small comes with the order to train it (where it is gone meanwhile, the pull says so)."""
        model = order.work.model
        if order.HasField("work") and model.size <= SMALL:
            with suppress(NotFound, FileNotFoundError):
                model.content = await asyncio.to_thread(self._store.blobs.local(model.digest).read_bytes)
        return order

    async def report(self, request: pb.Report, call: Call) -> pb.ReportReply:
        # Row and news go together, also where the caller's connection breaks in between.
        return await asyncio.shield(self._reports.take(await self._sessions.who(call, "client"), request))

    # ---- files

    async def offer(self, request: pb.Offer, call: Call) -> pb.OfferReply:
        role = "admin" if request.HasField("package") else "client"
        return await self._intake.offer(await self._sessions.who(call, role), request)

    async def push(self, chunks: AsyncIterator[bytes], call: Call) -> pb.PushReply:
        session = await self._sessions.who(call, "client", "admin")
        upload, offset = str(call.metadata.get(UPLOAD, "")), str(call.metadata.get(OFFSET, "0"))
        if not offset.isdecimal() or len(offset) > 20:
            raise BadInput(f"{offset[:40]!r} is no offset", where=OFFSET)
        return await self._intake.push(session, chunks, upload, int(offset))

    async def pull(self, request: pb.PullRequest, call: Call) -> AsyncIterator[bytes]:
        session = await self._sessions.who(call, "client", "admin")
        if session.role == "admin":
            await see_allowed(self._store, self._rights, session, Action.VIEW)
        may, told = await self._store.read(may_pull, session, request, self._store.clock.now())
        if told:
            self._store.bell.ring("events")
        if not may:
            raise NotFound("this file is not, or no longer, for this client", where=request.file.digest)
        if session.role == "admin" and request.file.place:
            found = chunks_at(self._store.folder, request.file, request.offset)
        else:
            found = read_chunks(self._store.blobs.local(request.file.digest), request.offset)
        async with self._lanes.lane() as lane, aclosing(found) as chunks:
            async for chunk in lane.going(chunks):
                self._sessions.heard(session)
                yield chunk


def _order(tx: Tx, session: Session, holding: pb.Holding) -> pb.Order:
    """The ledger's facts about this client, the pure decision, and the message that carries it out."""
    engaged = runs.engagement(tx, session.instance)
    ask = asks.pending(tx, session.instance, holding.asks)
    row = session_rows.by_token(tx, session.token)
    this = rounds.current(tx, engaged[0].id) if engaged else None
    round_seen = None
    if this and engaged:
        done = rounds.is_done(tx, (this.run, this.round, this.task), session.instance)
        done = done or not asked(this.task, engaged[1].state, engaged[1].cross)
        round_seen = orders.OpenRound(this.round, this.task, this.state, answered=done)
    facts = orders.Facts(
        leave=row.leave if row else "shutdown",
        ask=ask is not None,
        run=engaged[0].id if engaged else 0,
        part=engaged[1].state if engaged else "",
        open_round=round_seen,
    )
    decided = orders.next_order(facts, orders.Holding(holding.run, holding.phase, holding.round, holding.task))
    match decided:
        case orders.Leave(restart):
            return pb.Order(leave=leave_of(row, restart))
        case orders.Ask() if ask:
            about = pb.Ask(id=ask.id, name=ask.name, args=list(ask.args), by=ask.by, event=ask.event)
            return pb.Order(ask=about)
        case orders.Recall(run):
            return pb.Order(recall=recall_of(tx, run, session.instance))
        case orders.Engage() if engaged:
            return pb.Order(engage=engage_of(*engaged))
        case orders.Work() if engaged and this:
            work = work_of(tx, engaged[0], this, session.instance)
            if work is not None:
                return pb.Order(work=work)
        case orders.Nothing(waiting_for):
            return pb.Order(nothing=pb.Nothing(waiting_for=waiting_for))
    return pb.Order(nothing=pb.Nothing())


def _acknowledged(tx: Tx, client: str, run: int, now: float) -> None:
    """The client has the invitation in hand."""
    part = runs.participant(tx, run, client)
    if part is not None and part.state == "invited":
        runs.set_participant(tx, (run, client), "preparing", now)
