"""Where files arrive. An update counts only when it is whole: spool, verify, row, acknowledge, in that order.

Sending it again is harmless: the part that is here stays here, and a contribution has one key (run, round, client).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput, NotFound, ProtocolBroken, Refused, RondoError
from rondo.base.ids import token_hash
from rondo.ledger import events, models, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.net.part import part_size
from rondo.net.transfer import receive
from rondo.rounds.events import UpdateArrived
from rondo.server.claims import check_claim, check_metrics, check_samples
from rondo.server.rights import Rights
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.staging import Staging
from rondo.server.store import Store
from rondo.tensors.check import StreamCheck
from rondo.tensors.digest import parse_digest
from rondo.tensors.layout import read_layout
from rondo.wire import rondo_pb2 as pb

HEADER_SLACK = 1 << 20  # bytes by which an update's header may exceed the model's


class Intake:
    def __init__(self, store: Store, sessions: Sessions, live: Runs, rights: Rights) -> None:
        self._store = store
        self._sessions = sessions
        self._runs = live
        self._staging = Staging(store, rights)

    async def offer(self, session: Session, offer: pb.Offer) -> pb.OfferReply:
        """Say what is wanted of an offered file: nothing, the rest from ``offset`` on, or why it is refused."""
        if offer.HasField("package"):
            self._staging.check(session, offer)
        elif await self._store.read(_counts, session.instance, offer):
            return pb.OfferReply(have=True)  # it counts already; the acknowledgement was lost
        else:
            reason = await self._claim_refused(session, offer)
            if reason:
                return pb.OfferReply(refused=reason, code="Conflict")
        into = self._store.upload(session.instance, offer.file.digest)
        self._store.need_space(offer.file.size, "this upload")
        with disk_errors(into, "take this upload"):
            into.parent.mkdir(parents=True, exist_ok=True)
        if into.exists():  # whole, but the server died before it counted
            reply = await self._settle(session, offer, into, seen=None)
            return pb.OfferReply(have=reply.accepted, refused=reply.refused, code=reply.code)
        upload = token_hash(f"{session.instance} {offer.file.digest}")
        about = (upload, session.instance, offer.file.digest, offer.file.size, offer.SerializeToString())
        if not offer.HasField("package"):
            await asyncio.to_thread(_clear, into)
        await self._store.read(models.put_offer, models.OfferRow(*about, self._store.clock.now()))
        return pb.OfferReply(upload=upload, offset=part_size(into))

    async def push(self, session: Session, chunks: AsyncIterator[bytes], upload: str, offset: int) -> pb.PushReply:
        """Take the bytes in; the reply comes when they count, or says why they do not."""
        row = await self._store.read(models.offer, upload)
        if row is None or row.client != session.instance:
            raise NotFound("no such upload", hint="offer the file first")
        offer, into = pb.Offer.FromString(row.offer), self._store.upload(session.instance, row.digest)
        try:
            check = None if offer.HasField("package") else await self._check(session, offer.update)
            moving = self._moving(session, chunks)
            await receive(moving, into, offer.file, offset=offset, check=check.feed if check else None)
        except (BadInput, Refused) as error:
            reply = await self._refuse(session, offer, error)
        except ProtocolBroken as error:  # what was here is gone; the client may begin again
            await self._refused(session, offer.update, str(error))
            raise
        else:
            reply = await self._settle(session, offer, into, seen=check)
        await self._store.read(models.drop_offer, upload)
        return reply

    async def _settle(self, session: Session, offer: pb.Offer, into: Path, seen: StreamCheck | None) -> pb.PushReply:
        """The file is whole: see that it is sound (``seen``: what was checked while it came), then let it count."""
        try:
            if offer.HasField("package"):
                await self._staging.stage(session, offer, into)
                return pb.PushReply(accepted=True)
            check = seen or await self._check(session, offer.update)
            if seen is None:
                await asyncio.to_thread(_feed, check, into)
            check.finish()
            return await asyncio.shield(self._count(session, offer))  # row and news go together
        except (BadInput, Refused) as error:
            self._drop(session, offer)
            return await self._refuse(session, offer, error)

    def _drop(self, session: Session, offer: pb.Offer) -> None:
        self._store.upload(session.instance, offer.file.digest).unlink(missing_ok=True)

    async def _refuse(self, session: Session, offer: pb.Offer, error: RondoError) -> pb.PushReply:
        await self._refused(session, offer.update, str(error))
        return pb.PushReply(refused=str(error), code=error.code)

    async def _moving(self, session: Session, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they are; a client whose bytes move is alive."""
        async for chunk in chunks:
            self._sessions.heard(session)
            yield chunk

    # ---- updates

    async def _claim_refused(self, session: Session, offer: pb.Offer) -> str:
        """Refuse before a byte has moved what cannot count in any case."""
        claim = offer.update
        try:
            check_claim(claim, f"update of {session.instance}")
            parse_digest(offer.file.digest)
        except BadInput as error:
            await self._refused(session, claim, str(error))
            raise

        def look(tx: Tx) -> tuple[str, int]:
            part = runs.participant(tx, claim.run, session.instance)
            if part is None or part.state == "stopped":
                return f"Contribution refused: {session.instance} takes no part in run {claim.run}", 0
            this = rounds.current(tx, claim.run)
            model = models.get(tx, claim.run, this.version) if this else None
            return rounds.refusal(tx, claim.run, claim.round, "train", session.instance), model.size if model else 0

        reason, size = await self._store.read(look)
        if not reason and offer.file.size > size + HEADER_SLACK:
            reason = f"Contribution refused: {offer.file.size} bytes of {session.instance} for a model of {size} bytes"
        if reason:
            await self._refused(session, claim, reason)
        return reason

    async def _check(self, session: Session, claim: pb.Claim) -> StreamCheck:
        def base(tx: Tx) -> models.Model | None:
            this = rounds.get(tx, (claim.run, claim.round, "train"))
            return models.get(tx, claim.run, this.version) if this else None

        model = await self._store.read(base)
        if model is None:
            raise BadInput(f"Contribution refused: round {claim.round} of run {claim.run} is not open")
        expected = read_layout(self._store.blobs.local(model.digest))
        return StreamCheck(expected, frozenset(claim.omitted), f"update of {session.instance}")

    async def _count(self, session: Session, offer: pb.Offer) -> pb.PushReply:
        """The file is whole and sound: now the row, and with it the contribution counts."""
        claim = offer.update
        contribution = rounds.Contribution(
            run=claim.run, round=claim.round, task="train", client=session.instance,
            digest=offer.file.digest, size=offer.file.size, kind=claim.kind, samples=claim.samples, steps=claim.steps,
            metrics=dict(claim.metrics), local_metrics=dict(claim.local_metrics), omitted=sorted(claim.omitted),
            seconds=claim.seconds, at=self._store.clock.now(),
        )  # fmt: skip
        reason = await self._store.do(_accept, contribution)
        if reason:
            self._drop(session, offer)
            return pb.PushReply(refused=reason, code="Conflict")
        self._runs.tell(claim.run, UpdateArrived(session.instance))
        return pb.PushReply(accepted=True)

    async def measured(self, session: Session, report: pb.Report) -> pb.ReportReply:
        """The answer to a validate task: metrics alone, the same gate."""
        said = report.measured
        check_samples(said.samples, f"answer of {session.instance}")
        check_metrics(said.metrics, f"answer of {session.instance}")
        contribution = rounds.Contribution(
            run=report.run, round=report.round, task="validate", client=session.instance, digest="", size=0, kind="",
            samples=said.samples, steps=0.0, metrics=dict(said.metrics), local_metrics={},
            omitted=[], seconds=0.0, at=self._store.clock.now(),
        )  # fmt: skip
        reason = await self._store.do(_accept, contribution)
        if not reason:
            self._runs.tell(report.run, UpdateArrived(session.instance))
        return pb.ReportReply(counted=not reason, reason=reason)

    async def _refused(self, session: Session, claim: pb.Claim, reason: str) -> None:
        def write(tx: Tx) -> None:
            data = {"client": session.instance, "round": claim.round, "reason": reason}
            if runs.get(tx, claim.run):
                events.record(tx, self._store.clock.now(), claim.run, "update_refused", data)

        await self._store.do(write)


def _counts(tx: Tx, client: str, offer: pb.Offer) -> bool:
    """Has this very update been counted?"""
    key = (offer.update.run, offer.update.round, "train")
    return any((c.client, c.digest) == (client, offer.file.digest) for c in rounds.accepted(tx, key))


def _clear(into: Path) -> None:
    """A client sends one update at a time: what it began of another one will never be whole."""
    for part in into.parent.glob("*.part"):
        if part.stem != into.name:
            part.unlink(missing_ok=True)


def _feed(check: StreamCheck, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            check.feed(chunk)


def _accept(tx: Tx, contribution: rounds.Contribution) -> str:
    c = contribution
    reason = rounds.accept(tx, c)
    about: dict[str, Any] = {"client": c.client, "round": c.round}
    if reason:
        events.record(tx, c.at, c.run, "update_refused", {**about, "reason": reason})
    else:
        about |= {
            "task": c.task,
            "samples": c.samples,
            "metrics": dict(c.metrics),
            "size": c.size,
            "seconds": c.seconds,
        }
        events.record(tx, c.at, c.run, "update_accepted", {**about, "local_metrics": dict(c.local_metrics)})
    return reason
