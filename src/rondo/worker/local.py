"""The best local model of a site, kept for cross-site validation while it trains: across rounds and workers.

It lies in the run's work folder as ``best_local-RUN-ROUND.safetensors``; ``best_local-RUN.json``, written after it,
says which file it is and what is known of it. So a worker that is killed in between leaves the one before.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.disk import write_atomic
from rondo.base.errors import BadInput
from rondo.tensors.digest import file_digest

Request = Mapping[str, Any]

_FOLDING, _AGGREGATE = "rondo.aggregate.folding", "rondo.aggregate.seam"  # loaded where differences are sent


class _Known(msgspec.Struct, frozen=True):
    """``value``: of the metric by which it is the best; None where the trainer does not tell that: then the last is."""

    file: str
    value: float | None
    samples: float
    steps: float
    local_metrics: dict[str, float]


def keep(request: Request, fields: Mapping[str, Any]) -> None:
    """See whether the update that was written for ``request`` is of the best model so far, and keep that as weights.

    ``request["keep"]``: ``folder``, ``run``, ``metric`` (of the model trained here), ``mode`` (min, max). ``fields``:
    what is answered with the update.
    """
    about = request["keep"]
    folder, stem = Path(about["folder"]), f"best_local-{about['run']}"
    known, value = _known(about), fields["local_metrics"].get(about["metric"])
    if known is not None and not _better(value, known.value, about["mode"]):
        return
    file = folder / f"{stem}-{request['round']}.safetensors"
    part = file.with_name(f".{file.name}.part")
    if fields["kind"] == "weights" and not fields["omitted"]:
        shutil.copyfile(request["out"], part)
    else:
        _add(request, fields, part)
    os.replace(part, file)
    said = _Known(file.name, value, fields["samples"], fields["steps"], dict(fields["local_metrics"]))
    write_atomic(folder / f"{stem}.json", msgspec.json.encode(said))
    for old in folder.glob("best_local-*"):  # of earlier rounds, and of earlier runs with this number
        if old.name not in (file.name, f"{stem}.json"):
            old.unlink()


def collect(request: Request) -> dict[str, Any]:
    """The answer to a "collect" request: a copy of the best local model at ``request["out"]``, as weights.

    Of several processes that train together one, which is not ``silent``, copies it. Raises ``BadInput`` where this
    site has trained none in this run.
    """
    about = request["keep"]
    known = _known(about) if about else None
    if known is None:
        raise BadInput("this site has trained no model in this run that others could validate")
    if request.get("silent"):
        return {}
    out = Path(request["out"])
    out.parent.mkdir(parents=True, exist_ok=True)  # this worker may have trained nothing yet
    shutil.copyfile(Path(about["folder"]) / known.file, out)
    file = file_digest(out)
    return {
        "path": str(out), "digest": file.digest, "size": file.size, "kind": "weights", "omitted": [],
        "samples": known.samples, "steps": known.steps, "metrics": {}, "local_metrics": known.local_metrics,
    }  # fmt: skip


def _known(about: Mapping[str, Any]) -> _Known | None:
    path = Path(about["folder"]) / f"best_local-{about['run']}.json"
    return msgspec.json.decode(path.read_bytes(), type=_Known) if path.exists() else None


def _better(value: float | None, than: float | None, mode: str) -> bool:
    if value is None or than is None:
        return than is None
    return value < than if mode == "min" else value > than


def _add(request: Request, fields: Mapping[str, Any], out: Path) -> None:
    """The model received and what was made of it, tensor by tensor, as the server would."""
    folding, seam = importlib.import_module(_FOLDING), importlib.import_module(_AGGREGATE)
    omitted = frozenset(fields["omitted"])
    update = seam.Contribution("here", Path(request["out"]), fields["kind"], 1.0, omitted)
    folding.fold(Path(request["model"]), [update], seam.build_rule("mean", {}), out)
