"""The native form of a job: ``job.toml`` beside the code. Its short forms are spelled out here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options, decode, nearest
from rondo.jobs.folder import check_name
from rondo.jobs.parts import Choice, ClientPart, Job, ModelPart, ServerPart, TransferPart
from rondo.jobs.resources import ResourcesPart
from rondo.jobs.toml import read_toml

FILE = "job.toml"
SECTIONS: dict[str, type[Options]] = {
    "server": ServerPart,
    "model": ModelPart,
    "client": ClientPart,
    "transfer": TransferPart,
    "resources": ResourcesPart,
}


class _Client(Options, frozen=True):
    """[client] as it is written: ``script`` with ``args`` is short for the trainer ``script``."""

    trainer: str | dict[str, Any] | None = None
    script: str | None = None
    args: list[str] | None = None
    filters: tuple[str | dict[str, Any], ...] = ()
    attempts: int = 3
    processes: int = 1
    cross_validate: bool = False
    is_participating: bool = False
    cross_filters: tuple[str | dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if (self.trainer is None) == (self.script is None):
            got = "neither" if self.trainer is None else "both"
            raise ValueError(f'exactly one of trainer = {{ name = ... }} and script = "train.py": got {got}')
        if self.script == "":
            raise ValueError("script names no file")
        if self.args is not None and self.script is None:
            raise ValueError("args go with script; a trainer's options stand beside its name")


def read_native(folder: Path) -> Job:
    """The job of ``folder/job.toml``.

    Raises ``BadInput`` that names the section and the key, or line and column where it is no TOML.
    """
    return job_of(read_toml(folder / FILE))


def job_of(tables: Mapping[str, Any]) -> Job:
    """The job that the tables of a ``job.toml`` say. Raises ``BadInput`` that names the section and the key."""
    _known_sections(tables)
    client = _client(tables.get("client", {}))
    return decode(
        Job,
        {
            "name": tables.get("name", msgspec.UNSET),
            "server": _server(tables.get("server", {}), client.trainer),
            "model": _model(tables.get("model", {})),
            "client": client,
            "transfer": _transfer(tables.get("transfer", {})),
            "resources": decode(ResourcesPart, tables.get("resources", {}), f"{FILE} [resources]"),
        },
        FILE,
    )


def _known_sections(tables: Mapping[str, Any]) -> None:
    for key in tables:
        if key in ("name", *SECTIONS):
            continue
        homes = [name for name, kind in SECTIONS.items() if key in _keys(kind)]
        hint = f"it belongs under [{homes[0]}]" if homes else nearest(key, ("name", *SECTIONS))
        raise BadInput(f"unknown key {key!r}", where=FILE, hint=hint)
    if "name" not in tables:
        raise BadInput("the job has no name", where=FILE, hint='begin with name = "my-job"')


def _keys(kind: type[Options]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)} | ({"script"} if kind is ClientPart else set())


def _server(table: object, trainer: Choice) -> ServerPart:
    where = f"{FILE} [server]"
    values = read_table(table, where)
    if "num_rounds" not in values:
        raise BadInput("num_rounds is missing", where=where, hint="the run ends before the round of this number")
    if "best_mode" in values and "best_metric" not in values:
        raise BadInput("best_mode without best_metric", where=where, hint='name the metric: best_metric = "val_auc"')
    if "aggregator" in values:
        values["aggregator"] = read_choice(values["aggregator"], f"{where} aggregator")
    values.setdefault("final_validation", trainer.name != "script")
    return decode(ServerPart, values, where)


def _model(table: object) -> ModelPart:
    where = f"{FILE} [model]"
    model = decode(ModelPart, read_table(table, where), where)
    if model.file:
        _inside(model.file, where)
    return model


def _client(table: object) -> ClientPart:
    where = f"{FILE} [client]"
    raw = decode(_Client, read_table(table, where), where)
    if raw.script is not None:
        _inside(raw.script, where)
        trainer = Choice(name="script", options={"script": raw.script, "args": raw.args or []})
    else:
        trainer = read_choice(raw.trainer, f"{where} trainer")
    plain = ("attempts", "processes", "cross_validate", "is_participating")
    values = {"trainer": trainer, **{key: getattr(raw, key) for key in plain}}
    for key in ("filters", "cross_filters"):
        written = enumerate(getattr(raw, key))
        values[key] = tuple(read_choice(spec, f"{where} {key}[{number}]") for number, spec in written)
    return decode(ClientPart, values, where)


def _transfer(table: object) -> TransferPart:
    where = f"{FILE} [transfer]"
    values = read_table(table, where)
    for way in values.keys() & {"up", "down"}:
        values[way] = read_choice(values[way], f"{where} {way}")
    return decode(TransferPart, values, where)


def read_choice(spec: object, where: str) -> Choice:
    """An extension as people name it: ``"mean"`` or ``{name = "trimmed_mean", trim = 0.1}``. Raises ``BadInput``."""
    values = {"name": spec} if isinstance(spec, str) else read_table(spec, where)
    if "name" not in values:
        raise BadInput("name is missing", where=where, hint='write { name = "..." } with the options beside it')
    name = values.pop("name")
    return decode(Choice, {"name": name, "options": values}, where)


def _inside(name: str, where: str) -> None:
    try:
        check_name(name)
    except BadInput as error:
        raise BadInput(error.what, where=where, hint="a path inside the job's folder, with / between folders") from None


def read_table(value: object, where: str) -> dict[str, Any]:
    """A table of TOML. Raises ``BadInput`` for anything else."""
    if not isinstance(value, dict):
        raise BadInput(f"expected a table, got {type(value).__name__}", where=where)
    return dict(value)
