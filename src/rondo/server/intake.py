"""Where files arrive. An update counts only when it is whole: spool, verify, row, acknowledge, in that order.

Sending it again is harmless: the part that is here stays here, and a contribution has one key (run, round, client).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from rondo.base.errors import BadInput, ProtocolBroken, Refused, RondoError
from rondo.ledger import models, rounds
from rondo.ledger.models import Model
from rondo.ledger.sessions import Session
from rondo.net.lanes import Lanes
from rondo.net.part import part_size
from rondo.net.transfer import receive
from rondo.pki.trust import Trust
from rondo.rounds.events import UpdateArrived
from rondo.server import offers
from rondo.server.arrival import Check, check_of
from rondo.server.claims import check_claim, task_of
from rondo.server.counting import count
from rondo.server.notes import Notes
from rondo.server.rights import Rights
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.staging import Staging
from rondo.server.store import Store
from rondo.tensors.digest import parse_digest
from rondo.wire import rondo_pb2 as pb


class Intake:
    def __init__(self, store: Store, sessions: Sessions, live: Runs, rights: Rights, trust: Trust) -> None:
        self._store = store
        self._sessions = sessions
        self._runs = live
        self._staging = Staging(store, rights, trust)
        self._lanes = Lanes()
        self.notes = Notes(store)

    async def offer(self, session: Session, offer: pb.Offer) -> pb.OfferReply:
        """Say what is wanted of an offered file: nothing, the rest from ``offset`` on, or why it is refused."""
        if offer.HasField("package"):
            await self._staging.check(session, offer)
        else:
            await self._sound(session, offer)
        into = self._store.upload(session.instance, offer.file.digest)
        counts, reason, model = await self._store.read(offers.take, session.instance, offer, self._store.clock.now())
        if counts:
            return pb.OfferReply(have=True)  # the acknowledgement was lost
        if reason:
            await self._refused(session, offer, reason)
            return pb.OfferReply(refused=reason, code="Conflict")
        self._store.room.promise(into, offer.file.size, alone=not offer.HasField("package"))
        try:
            whole = await asyncio.to_thread(offers.make_room, into, offer, self._store.durable)
        except ProtocolBroken as error:
            await self._refused(session, offer, str(error))
            raise
        if whole:  # it came along, or the server died before it counted
            reply = await self._settle(session, offer, into, model)
            return pb.OfferReply(have=reply.accepted, refused=reply.refused, code=reply.code)
        upload = offers.name_of(session.instance, offer)
        await self._lanes.keep(upload)
        return pb.OfferReply(upload=upload, offset=part_size(into, offer.file))

    async def push(self, session: Session, chunks: AsyncIterator[bytes], upload: str, offset: int) -> pb.PushReply:
        """Take the bytes in; the reply comes when they count, or says why they do not."""
        offer, model = await self._store.read(offers.taken, session.instance, upload)
        into = self._store.upload(session.instance, offer.file.digest)
        try:
            check = None if offer.HasField("package") else self._check(session, offer.update, model)
            sees, durable = check.feed if check else None, self._store.durable
            async with self._lanes.lane(upload) as lane:
                moving = self._moving(session, lane.coming(chunks))
                await receive(moving, into, offer.file, offset, check=sees, durable=durable)
        except (BadInput, Refused) as error:
            reply = await self._refuse(session, offer, error)
        except ProtocolBroken as error:  # what was here is gone; the client may begin again
            await self._refused(session, offer, str(error))
            raise
        else:
            reply = await self._settle(session, offer, into, model, check)
        if not reply.accepted or offer.HasField("package"):  # what counts has dropped it with its row
            await self._store.read(models.drop_offer, upload)
        return reply

    async def _settle(
        self, session: Session, offer: pb.Offer, into: Path, model: Model | None, seen: Check | None = None
    ) -> pb.PushReply:
        """The file is whole: see that it is sound (``seen``: it was looked at while it came), then let it count."""
        try:
            if offer.HasField("package"):
                await self._staging.stage(session, offer, into)
                return pb.PushReply(accepted=True)
            check = seen or self._check(session, offer.update, model)
            if offer.file.content:
                check.feed(offer.file.content)
            elif seen is None:
                await asyncio.to_thread(offers.feed, check, into)
            check.finish()
            return await asyncio.shield(self._count(session, offer))  # row and news go together
        except (BadInput, Refused) as error:
            self._drop(session, offer)
            return await self._refuse(session, offer, error)
        finally:
            self._store.room.settled(into)

    def _drop(self, session: Session, offer: pb.Offer) -> None:
        self._store.upload(session.instance, offer.file.digest).unlink(missing_ok=True)

    async def _refuse(self, session: Session, offer: pb.Offer, error: RondoError) -> pb.PushReply:
        await self._refused(session, offer, str(error))
        return pb.PushReply(refused=str(error), code=error.code)

    async def _refused(self, session: Session, offer: pb.Offer, reason: str) -> None:
        await self.notes.refused(session.instance, offer.update.run, offer.update.round, reason)

    async def _moving(self, session: Session, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they are; a client whose bytes move is alive."""
        async for chunk in chunks:
            self._sessions.heard(session)
            yield chunk

    # ---- updates

    async def _sound(self, session: Session, offer: pb.Offer) -> None:
        """Refuse a claim that no honest training makes."""
        try:
            check_claim(offer.update, f"update of {session.instance}")
            parse_digest(offer.file.digest)
        except BadInput as error:
            await self._refused(session, offer, str(error))
            raise

    def _check(self, session: Session, claim: pb.Claim, model: Model | None) -> Check:
        if model is None:
            raise BadInput(f"Contribution refused: round {claim.round} of run {claim.run} is not open")
        return check_of(model, self._store.blobs.local(model.digest), claim, f"update of {session.instance}")

    async def _count(self, session: Session, offer: pb.Offer) -> pb.PushReply:
        """The file is whole and sound: now the row, and with it the contribution counts."""
        claim = offer.update
        contribution = rounds.Contribution(
            run=claim.run, round=claim.round, task=task_of(claim), client=session.instance,
            digest=offer.file.digest, size=offer.file.size, kind=claim.kind, samples=claim.samples, steps=claim.steps,
            metrics=dict(claim.metrics), local_metrics=dict(claim.local_metrics), omitted=sorted(claim.omitted),
            seconds=claim.seconds, at=self._store.clock.now(),
        )  # fmt: skip
        upload = "" if offer.file.content else offers.name_of(session.instance, offer)
        reason = await self._store.do(count, contribution, upload)
        if reason:
            self._drop(session, offer)
            await self._refused(session, offer, reason)
            return pb.PushReply(refused=reason, code="Conflict")
        self._runs.tell(claim.run, UpdateArrived(session.instance))
        return pb.PushReply(accepted=True)
