"""What is offered: whether it is wanted, what it is measured against, and room for it."""

from __future__ import annotations

from pathlib import Path

from rondo.base.disk import disk_errors
from rondo.base.errors import NotFound
from rondo.base.ids import token_hash
from rondo.ledger import models, rounds
from rondo.ledger.ledger import Tx
from rondo.net.part import keep
from rondo.server.arrival import Check, cannot_count
from rondo.server.claims import task_of
from rondo.wire import rondo_pb2 as pb


def name_of(client: str, offer: pb.Offer) -> str:
    """What Push calls the upload."""
    return token_hash(f"{client} {offer.file.digest}")


def take(tx: Tx, client: str, offer: pb.Offer, now: float) -> tuple[bool, str, models.Model | None]:
    """Whether this very update counts already; else why it cannot count, or "" and the offer is written down.
    And the model that an update is measured against."""
    file, model = offer.file, None
    if not offer.HasField("package"):
        claim = offer.update
        if rounds.counts_already(tx, (claim.run, claim.round, task_of(claim)), client, file.digest):
            return True, "", None
        reason = rounds.refusal(tx, claim.run, claim.round, task_of(claim), client)
        model = None if reason else base(tx, claim)
        if model:
            reason = cannot_count(model, offer, client)
        if reason:
            return False, reason, None
    if not file.content:
        about = (name_of(client, offer), client, file.digest, file.size, offer.SerializeToString())
        models.put_offer(tx, models.OfferRow(*about, now))
    return False, "", model


def taken(tx: Tx, client: str, upload: str) -> tuple[pb.Offer, models.Model | None]:
    """The offer that ``client`` made, and the model that an update is measured against. Raises ``NotFound``."""
    row = models.offer(tx, upload)
    if row is None or row.client != client:
        raise NotFound("no such upload", hint="offer the file first")
    offer = pb.Offer.FromString(row.offer)
    return offer, base(tx, offer.update)


def base(tx: Tx, claim: pb.Claim) -> models.Model | None:
    """The model that the round of ``claim`` started from."""
    this = rounds.get(tx, (claim.run, claim.round, task_of(claim)))
    return models.get(tx, claim.run, this.version) if this else None


def make_room(into: Path, offer: pb.Offer, durable: bool) -> bool:
    """Whether ``into`` is here, whole. A client sends one update at a time: what it began of another one goes.

    Raises ``ProtocolBroken`` for content that came along and is not what it is named.
    """
    with disk_errors(into, "take this upload"):
        into.parent.mkdir(parents=True, exist_ok=True)
        if not offer.HasField("package"):
            for part in into.parent.glob("*.part"):
                if part.stem != into.name:
                    part.unlink(missing_ok=True)
        if offer.file.content:
            keep(into, offer.file, durable=durable)
        return into.exists()


def feed(check: Check, path: Path) -> None:
    """Check a file that is here already."""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            check.feed(chunk)
