"""One task at a site: the model file comes in, the trainer works, a checked update file goes out."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.task import Site, Task, Update
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import Layout
from rondo.worker import local
from rondo.worker.handing import checked_metrics, checked_samples, checked_steps, write_tensors


def task_of(request: Mapping[str, Any], site: Site) -> Task:
    """The task that a "train" or "validate" request means; every source of chance is seeded with its seed."""
    seed = int(request["seed"])
    seed_all(seed)
    return Task(request["do"], int(request["round"]), int(request["rounds"]), seed, site)


def seed_all(seed: int) -> None:
    """Seed ``random``, and numpy and torch where they are imported."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def train(trainer: Any, request: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The answer to a "train" request. A trainer that evaluates first does so on the model received."""
    task = task_of(request, site)
    with TensorFile(Path(request["model"])) as model:
        received: Mapping[str, float] = {}
        if trainer.evaluates:
            received = measured(*trainer.validate(model, replace(task, kind="validate")))["metrics"]
            seed_all(task.seed)
        update = trainer.train(model, task)
        if not isinstance(update, Update):
            raise BadInput(
                f"train returned {_kind(update)}",
                where="trainer",
                hint="return rondo.Update(...), or (tensors, samples), or (tensors, samples, metrics)",
            )
        answer = hand_in(update, request, model.layout)
        return {**answer, "metrics": {**received, **answer["metrics"]}}


def validate(trainer: Any, request: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The answer to a "validate" request."""
    if not trainer.evaluates:
        raise BadInput("cannot validate: it has no validate()", where="trainer")
    task = task_of(request, site)
    with TensorFile(Path(request["model"])) as model:
        return measured(*trainer.validate(model, task))


def collect(trainer: Any, request: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The answer to a "collect" request: the best model that the trainer keeps itself, else the one kept here.

    A trainer that has ``leaves(model)`` says what of it leaves the site: arrays by name, or None for all of it. What
    it does not name stays at home.
    """
    task_of({**request, "do": "validate"}, site)
    with TensorFile(Path(request["model"])) as model:
        own = trainer.local_best(model) if hasattr(trainer, "local_best") else None
        answer = hand_in(own, {**request, "keep": None}, model.layout) if own else local.collect(request)
        if request.get("silent") or not hasattr(trainer, "leaves"):
            return answer
        return {**answer, **_left(trainer.leaves, Path(answer["path"]))}


def _left(leaves: Callable[[Any], Any], path: Path) -> dict[str, Any]:
    with TensorFile(path, private=True) as best:
        changed, layout = leaves(best), best.layout
        if changed is None:
            return {}
        omitted = sorted(set(layout.names()) - changed.keys())
        file = write_tensors(changed, path, model=layout, omitted=omitted, where="the best local model")
    return {"path": str(file.path), "digest": file.digest, "size": file.size, "omitted": omitted}


def measured(samples: Any, metrics: Any) -> dict[str, Any]:
    """Samples and metrics, checked."""
    return {"samples": checked_samples(samples), "metrics": checked_metrics(metrics, "metrics")}


def hand_in(update: Update, request: Mapping[str, Any], model: Layout) -> dict[str, Any]:
    """Check all of ``update``, write its tensors to ``request["out"]``, and describe it.

    A rank that is to be ``silent`` writes nothing: the first one's update is that of all.
    """
    if update.kind not in ("weights", "diff"):
        raise BadInput(f"must be 'weights' or 'diff', got {update.kind!r}", where="kind")
    fields = {
        **measured(update.samples, update.metrics),
        "local_metrics": checked_metrics(update.local_metrics, "local_metrics"),
        "steps": checked_steps(update.steps),
        "kind": update.kind,
        "omitted": sorted(update.omitted),
    }
    if request.get("silent"):
        return fields
    file = write_tensors(update.tensors, Path(request["out"]), model=model, omitted=update.omitted)
    if request.get("keep"):
        local.keep(request, fields)
    return {"path": str(file.path), "digest": file.digest, "size": file.size, **fields}


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
