"""A job that trains nothing: its trainer validates one model at every site, or at some (``rondo validate --model``).

Any job becomes one by the file ``evaluate.toml`` in its folder, whatever its form: the package that is signed and that
sites let in is the job with this file and the model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.jobs.folder import members
from rondo.jobs.parts import EvaluationPart, Job, ModelPart
from rondo.jobs.toml import read_toml

FILE = "evaluate.toml"
_MODEL = "evaluate_this"


def evaluating(job: Job, folder: Path) -> Job:
    """``job`` as ``evaluate.toml`` in ``folder`` has it. Raises ``BadInput``."""
    evaluation = decode(EvaluationPart, read_toml(folder / FILE), FILE)
    patience = job.server.submit_model_timeout  # for a site that prepares slowly
    server = structs.replace(
        job.server, start_round=0, num_rounds=0, min_clients=1, wait_after_min_clients=patience, final_validation=False
    )
    return structs.replace(job, server=server, model=ModelPart(file=evaluation.file), evaluation=evaluation)


def with_model(folder: Path, model: Path, sites: Sequence[str], into: Path) -> Path:
    """A copy of the job in ``folder`` below ``into`` that validates ``model`` at ``sites`` (none: at all).

    Raises ``BadInput`` for a model that is no file to begin with.
    """
    if not model.is_file() or model.suffix not in (".safetensors", ".pt"):
        raise BadInput("is no file that ends in .safetensors or .pt", where=str(model), hint="rondo model get")
    copy = into / f"{folder.resolve().name}-validation"
    for member in members(folder):
        target = copy / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(member.path, target)
    file = f"{_MODEL}{model.suffix}"
    shutil.copyfile(model, copy / file)
    told = (f"file = {json.dumps(file)}", f"name = {json.dumps(model.stem)}", f"sites = {json.dumps(list(sites))}")
    (copy / FILE).write_text("\n".join(told) + "\n")
    return copy
