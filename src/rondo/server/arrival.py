"""What an arriving update is held against: the model that its round started from, and the codec it travels with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rondo.codecs.coding import CodedCheck
from rondo.codecs.seam import Codec, build_codec
from rondo.ledger.models import Model
from rondo.server.claims import task_of
from rondo.tensors.check import StreamCheck
from rondo.tensors.layout import read_layout
from rondo.wire import rondo_pb2 as pb

HEADER_SLACK = 1 << 20  # bytes by which an update's header may exceed the model's

Check = StreamCheck | CodedCheck

_layout = lru_cache(maxsize=2)(read_layout)  # of files in the blob store: a name there is a content


def cannot_count(model: Model, offer: pb.Offer, client: str) -> str:
    """Why this update of ``client`` cannot count, whatever is in it; "" where it may."""
    codecs = _codecs(model, offer.update)
    if offer.update.kind != "diff" and not all(codec.lossless for codec in codecs.values()):
        return f"Contribution refused: {client} sends weights where a codec of the run wants differences"
    # What a codec makes of tiny tensors may be longer than they are, by a part of what the header says of them.
    most = model.size + HEADER_SLACK + (model.size // 4 if "up" in codecs else 0)
    if offer.file.size > most:
        return f"Contribution refused: {offer.file.size} bytes of {client} for a model of {model.size} bytes"
    return ""


def check_of(model: Model, file: Path, claim: pb.Claim, where: str) -> Check:
    """The check of the update's bytes as they pass. ``file``: that of the model; ``where`` names the update."""
    expected, omitted, codecs = _layout(file), frozenset(claim.omitted), _codecs(model, claim)
    if "up" in codecs:
        return CodedCheck(codecs["up"], expected, omitted, where)
    return StreamCheck(expected, omitted, where)


def _codecs(model: Model, claim: pb.Claim) -> dict[str, Codec]:
    if task_of(claim) == "collect":  # it travels as it is: what a codec loses would be taken for the site's
        return {}
    return {way: build_codec(one["name"], one["options"]) for way, one in model.codecs.items()}
