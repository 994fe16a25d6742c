"""Versions of a run's global model. Version ``v`` is what round ``v`` starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
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


_GET = Prepared(select(models).where(models.c.run == bindparam("run"), models.c.version == bindparam("version")))
_SENT = Prepared(
    select(models.c.sent, models.c.sent_size, models.c.codecs).where(
        models.c.run == bindparam("run"), models.c.version == bindparam("version")
    )
)
_OFFERED = Prepared(select(offers).where(offers.c.upload == bindparam("upload")))
_DROP = Prepared(delete(offers).where(offers.c.upload == bindparam("of")))
_PUT = Prepared(insert(offers).values({column.name: bindparam(column.name) for column in offers.c}))
_ADD = Prepared(insert(models).values({column.name: bindparam(column.name) for column in models.c}))
_MEASURE = Prepared(
    update(models)
    .where(models.c.run == bindparam("of"), models.c.version == bindparam("measured"))
    .values(metrics=bindparam("values"))
)
_ALL_KEPT = Prepared(select(models).where(models.c.kept))
_FORGET = Prepared(
    update(models).where(models.c.run == bindparam("of"), models.c.version == bindparam("gone")).values(kept=False)
)
_KEPT = Prepared(
    select(models.c.version).where(
        models.c.run == bindparam("run"), models.c.sent == bindparam("digest"), models.c.kept
    )
)


def add(tx: Tx, model: Model) -> None:
    """Where nothing else is sent to clients, the row says that the model itself is."""
    sent = {"sent": model.sent or model.digest, "sent_size": model.sent_size or model.size}
    _ADD.run(tx, **{**model.__dict__, **sent})


def get(tx: Tx, run: int, version: int) -> Model | None:
    row = _GET.first(tx, run=run, version=version)
    return Model(*row) if row else None


def sent(tx: Tx, run: int, version: int) -> tuple[str, int, Mapping[str, Any]] | None:
    """Digest and size of the file in which clients get this version, and its codecs by way."""
    row = _SENT.first(tx, run=run, version=version)
    return (row[0], row[1], row[2]) if row else None


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
    return _KEPT.first(tx, run=run, digest=digest) is not None


def measure(tx: Tx, run: int, version: int, values: Mapping[str, float]) -> None:
    _MEASURE.run(tx, of=run, measured=version, values=dict(values))


def forget(tx: Tx, run: int, keep: set[int]) -> list[str]:
    """Mark all versions but ``keep`` as no longer kept; returns the digests that nobody else refers to."""
    kept = [Model(*row) for row in _ALL_KEPT.rows(tx)]
    going = [model for model in kept if model.run == run and model.version not in keep]
    for model in going:
        _FORGET.run(tx, of=run, gone=model.version)
    staying = {digest for model in kept if model not in going for digest in model.files}
    return sorted({digest for model in going for digest in model.files} - staying)


def put_offer(tx: Tx, offer: OfferRow) -> None:
    drop_offer(tx, offer.upload)
    _PUT.run(tx, **offer.__dict__)


def offer(tx: Tx, upload: str) -> OfferRow | None:
    row = _OFFERED.first(tx, upload=upload)
    return OfferRow(*row) if row else None


def drop_offer(tx: Tx, upload: str) -> None:
    _DROP.run(tx, of=upload)
