"""config_fed_client.json as ours: the trainer, what filters an update passes, and the cross-validation."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.jobs._mmar_files import CLIENT, TRAIN, Mmar
from rondo.jobs._mmar_filters import known_as, outgoing, passing, refused, see_args
from rondo.jobs._mmar_own import needs_own_parts
from rondo.jobs.components import Component, Reading
from rondo.jobs.parts import Choice, ClientPart
from rondo.jobs.placed import Placed

TRAINER = "mmar"
SWITCHES = ("cross_validate", "cross_site_validate")
_TOP = (
    "format_version", "servers", "platform", "client", "client_trainer", "handlers", "cross_site_validation", *SWITCHES,
)  # fmt: skip
_IN_CLIENT = ("outbound_filters", "inbound_filters", *SWITCHES)
_OF_THE_KIT = ("retry_timeout", "ssl_private_key", "ssl_cert", "ssl_root_cert", "compression")


def client_part(mmar: Mmar) -> ClientPart:
    """Raises ``BadInput`` at the key that is wrong; what else is wrong is in the findings."""
    root, reading = mmar.files[CLIENT], mmar.reading(CLIENT)
    for key, node in root.table.items():
        if key not in _TOP:
            mmar.findings.warn(f"{key!r} is no key of this file: left out", node.place, nearest(key, _TOP))
    client = root.get("client")
    filters = _filters(mmar, reading, client) if client is not None else []
    for one in reading.components(root.get("handlers")):
        if known_as(one):
            mmar.findings.collect(refused(one, "handler", {}))
    crossing = _cross_validation(mmar, reading)
    trainer = _trainer(mmar, reading)
    if needs_own_parts(mmar):
        trainer = replace(trainer, options={**trainer.options, "own": True})
    crosses = participates(mmar)
    return ClientPart(
        trainer=trainer,
        filters=tuple(filters),
        cross_validate=crosses,
        is_participating=crosses,
        cross_filters=tuple(crossing),
    )


def _filters(mmar: Mmar, reading: Reading, client: Placed) -> list[Choice]:
    for key, node in client.table.items():
        if key not in _IN_CLIENT and key not in _OF_THE_KIT:
            mmar.findings.warn(f"{key!r} is no key of client: left out", node.place, nearest(key, _IN_CLIENT))
    passing(reading.components(client.get("inbound_filters")), mmar.findings)
    return outgoing(reading.components(client.get("outbound_filters")), mmar.findings)


def _trainer(mmar: Mmar, reading: Reading) -> Choice:
    node = mmar.files[CLIENT].get("client_trainer")
    if node is None:
        raise BadInput("client_trainer is missing", where=CLIENT)
    made = reading.component(node)
    if made is None:
        mmar.findings.raise_first()
        raise BadInput("client_trainer is no component", where=str(node.place))
    if not known_as(made):
        return Choice(name=TRAINER, place=str(made.place))
    if known_as(made) != "ClientTrainer":
        raise refused(made, "client_trainer", {"ClientTrainer": None})
    kinds: dict[str, Any] = {"local_epochs": int, "steps_aggregation": int, "model_reader_writer": Component}
    args = see_args(made, kinds)
    reader = args.pop("model_reader_writer", None)
    if reader is not None:
        if known_as(reader) != "PTModelReaderWriter":
            raise refused(reader, "model_reader_writer", {"PTModelReaderWriter": None})
        see_args(reader, {})
    if TRAIN not in mmar.files and not mmar.findings.errors:
        raise BadInput(f"ClientTrainer trains what {TRAIN} says, which is not there", where=str(made.place))
    return Choice(name=TRAINER, options=args, place=str(made.place))


def _cross_validation(mmar: Mmar, reading: Reading) -> list[Choice]:
    """The filters that a local model passes before it leaves; who validates whom is decided elsewhere."""
    section = mmar.files[CLIENT].get("cross_site_validation")
    if section is None:
        return []
    known = ("is_participating", "model_validator", "inbound_filters", "outbound_filters")
    for key, node in section.table.items():
        if key not in known:
            mmar.findings.warn(f"{key!r} is no key of cross_site_validation: left out", node.place, nearest(key, known))
    validator = section.get("model_validator")
    made = reading.component(validator) if validator is not None else None
    if made is not None and known_as(made) not in ("ClientValidator", ""):
        mmar.findings.collect(refused(made, "model_validator", {"ClientValidator": None}))
    passing(reading.components(section.get("inbound_filters")), mmar.findings)
    return outgoing(reading.components(section.get("outbound_filters")), mmar.findings)


def participates(mmar: Mmar) -> bool:
    """Whether this client's models are to be validated at other sites (spec 10: it must say so twice)."""
    root = mmar.files.get(CLIENT)
    if root is None:
        return False
    places = (root, root.get("client"))
    switches = [node.get(key) for node in places if node is not None for key in SWITCHES]
    section = root.get("cross_site_validation")
    taking_part = section.get("is_participating") if section is not None else None
    return any(one is not None and one.value is True for one in switches) and (
        taking_part is not None and taking_part.value is True
    )
