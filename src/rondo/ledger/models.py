"""Versions of a run's global model. Version ``v`` is what round ``v`` starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, bindparam, insert, select, update

from rondo.ledger.ledger import Tx
from rondo.ledger.tables import models, offers


@dataclass(frozen=True)
class Model:
    run: int
    version: int
    digest: str
    size: int
    kept: bool
    metrics: Mapping[str, float]
    provenance: Mapping[str, Any]
    at: float
    sent: str = ""  # digest of the file that clients get, where it is not the model itself but what a codec made of it
    sent_size: int = 0
    codecs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by way, as the job names them

    @property
    def memory(self) -> tuple[str, int]:
        """Digest and size of the file in which the aggregator remembers what led to this version; ("", 0): none."""
        kept = self.provenance.get("memory", {})
        return kept.get("digest", ""), kept.get("size", 0)

    @property
    def files(self) -> set[str]:
        """The digests of all files that belong to this version, and go with it."""
        return {self.digest, self.memory[0], self.sent} - {""}


@dataclass(frozen=True)
class OfferRow:
    upload: str
    client: str
    digest: str
    size: int
    offer: bytes
    at: float


_GET = select(models).where(models.c.run == bindparam("run"), models.c.version == bindparam("version"))
_OFFERED = select(offers).where(offers.c.upload == bindparam("upload"))
_DROP = offers.delete().where(offers.c.upload == bindparam("upload"))
_PUT = insert(offers)
_KEPT = select(models.c.version).where(
    models.c.run == bindparam("run"), models.c.sent == bindparam("digest"), models.c.kept
)


def add(tx: Tx, model: Model) -> None:
    """Where nothing else is sent to clients, the row says that the model itself is."""
    sent = {"sent": model.sent or model.digest, "sent_size": model.sent_size or model.size}
    tx.execute(insert(models).values(**{**model.__dict__, **sent}))


def get(tx: Tx, run: int, version: int) -> Model | None:
    row = tx.execute(_GET, {"run": run, "version": version}).first()
    return Model(**row._mapping) if row else None


def last(tx: Tx, run: int) -> Model | None:
    row = tx.execute(select(models).where(models.c.run == run).order_by(models.c.version.desc()).limit(1)).first()
    return Model(**row._mapping) if row else None


def of_run(tx: Tx, run: int) -> list[Model]:
    return [
        Model(**row._mapping)
        for row in tx.execute(select(models).where(models.c.run == run).order_by(models.c.version))
    ]


def is_kept(tx: Tx, run: int, digest: str) -> bool:
    """Whether clients of ``run`` get a file of this digest as a model, and it is there."""
    return tx.execute(_KEPT, {"run": run, "digest": digest}).first() is not None


def measure(tx: Tx, run: int, version: int, values: Mapping[str, float]) -> None:
    tx.execute(update(models).where(models.c.run == run, models.c.version == version).values(metrics=dict(values)))


def forget(tx: Tx, run: int, keep: set[int]) -> list[str]:
    """Mark all versions but ``keep`` as no longer kept; returns the digests that nobody else refers to."""
    where = (models.c.kept, models.c.run == run, models.c.version.not_in(keep))
    going = _files(tx, *where)
    tx.execute(update(models).where(*where).values(kept=False))
    return sorted(going - _files(tx))


def _files(tx: Tx, *where: ColumnElement[bool]) -> set[str]:
    """The digests of all files of versions that are kept."""
    kept = tx.execute(select(models).where(models.c.kept, *where))
    return {digest for row in kept for digest in Model(**row._mapping).files}


def put_offer(tx: Tx, offer: OfferRow) -> None:
    drop_offer(tx, offer.upload)
    tx.execute(_PUT, offer.__dict__)


def offer(tx: Tx, upload: str) -> OfferRow | None:
    row = tx.execute(_OFFERED, {"upload": upload}).first()
    return OfferRow(**row._mapping) if row else None


def drop_offer(tx: Tx, upload: str) -> None:
    tx.execute(_DROP, {"upload": upload})
