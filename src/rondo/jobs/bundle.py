"""A MONAI bundle as a job: a folder with ``configs/metadata.json``. What it leaves open is filled in as a ``job.toml``
would say it; who wants it otherwise writes one into the folder, or gives ``rondo job submit`` options.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.errors import BadInput
from rondo.jobs.folder import read_bounded
from rondo.jobs.native import FILE, job_of
from rondo.jobs.parts import NAME, Job

MARK = "configs/metadata.json"
TRAINER = "monai_bundle"
ROUNDS = 10
MOST_META = 1 << 20
_CHECKPOINT = "models/model.pt"


def read_bundle(folder: Path) -> Job:
    """Raises ``BadInput`` where the metadata is no JSON object."""
    return job_of(as_native(folder))


def as_native(folder: Path, *, rounds: int = ROUNDS, local_epochs: int = 1, min_clients: int = 1) -> dict[str, Any]:
    """The tables of a ``job.toml`` that stands for the bundle. It begins with the bundle's own weights, if any.

    Raises ``BadInput``.
    """
    evaluates = any((folder / f"configs/evaluate{end}").is_file() for end in (".json", ".yaml", ".yml"))
    begin = {"file": _CHECKPOINT} if (folder / _CHECKPOINT).is_file() else {"trainer": True}
    return {
        "name": _name(folder),
        "server": {"num_rounds": rounds, "min_clients": min_clients, "final_validation": evaluates},
        "model": begin,
        "client": {"trainer": {"name": TRAINER, "local_epochs": local_epochs}},
    }


def with_options(folder: Path, into: Path, **options: int) -> Path:
    """A copy of the bundle in the folder ``into``, under its own name, that says these options of ``as_native`` itself.

    Raises ``BadInput`` for what is no bundle, or says in a ``job.toml`` already what it wants.
    """
    if not (folder / MARK).is_file():
        raise BadInput("rounds, local epochs and clients are options of MONAI bundles", where=str(folder))
    if (folder / FILE).exists():
        raise BadInput("the bundle has its own", where=str(folder / FILE), hint="change it there")
    tables = as_native(folder, **options)
    copy = into / folder.resolve().name
    shutil.copytree(folder, copy, symlinks=True)
    lines = [f"name = {_toml(tables.pop('name'))}"]
    for section, values in tables.items():
        lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    (copy / FILE).write_text("\n".join([*lines, ""]))
    return copy


def _toml(value: Any) -> str:
    """Of the kinds that ``as_native`` makes."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return msgspec.json.encode(value).decode()


def _name(folder: Path) -> str:
    try:
        meta = msgspec.json.decode(read_bounded(folder / MARK, MOST_META))
    except msgspec.DecodeError as error:
        raise BadInput(f"is no JSON: {error}", where=MARK) from None
    if not isinstance(meta, dict):
        raise BadInput("must be a JSON object", where=MARK)
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", str(meta.get("name", ""))).strip("-._").lower()[:128]
    return words if NAME.fullmatch(words) else "bundle"
