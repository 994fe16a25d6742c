"""What a training script imports: ``rondo.join`` and ``rondo.progress``.

    for task in rondo.join(model.state_dict()):     # alone: one local round, from these weights
        model.load_state_dict(task.model)           # in a federation: the global model
        ...
        task.submit(model.state_dict(), samples=len(train_set), metrics={"val_acc": acc})

The same script runs alone: then ``task.model`` is what was given to ``join``, so that loading it changes nothing,
and ``submit`` prints a line and writes no file. In a federation the argument is not looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rondo.base.errors import BadInput, Conflict
from rondo.jobs.task import Site, Task, Update, UpdateKind, derive_seed


class JoinedTask:
    """One task of a script.

    ``kind``: "train" or "validate" (only the metrics of the latter are looked at). ``round`` of ``rounds``
    (absolute numbers, end exclusive). ``seed`` depends on run, site and round only; in a federation ``random``,
    numpy and torch are already seeded with it. ``site``, ``data``: see ``rondo.Site``.
    """

    def __init__(self, task: Task, model: Callable[[], Mapping[str, Any]], hand_in: Callable[[Update], None]) -> None:
        self.kind, self.round, self.rounds, self.seed = task.kind, task.round, task.rounds, task.seed
        self.site, self.data = task.site, task.site.data
        self.submitted = False
        self._model, self._hand_in = model, hand_in

    @property
    def model(self) -> Mapping[str, Any]:
        """The weights to start from: torch tensors where the script imported torch, else numpy arrays.

        In a federation each access gives fresh copies; bfloat16 is ``torch.bfloat16``, without torch its bits in
        ``uint16``. Alone it is what was given to ``join``; raises ``BadInput`` where nothing was.
        """
        return self._model()

    def submit(
        self,
        weights: Mapping[str, Any],
        *,
        samples: float,
        metrics: Mapping[str, Any] = MappingProxyType({}),
        local_metrics: Mapping[str, Any] = MappingProxyType({}),
        kind: UpdateKind = "weights",
        steps: float = 0.0,
    ) -> None:
        """Hand in the result; once for each task.

        ``weights``: tensors with the names, shapes and dtypes of ``model`` (numpy or torch), or their difference
        to it with ``kind="diff"``. ``samples`` > 0 weighs this site. ``metrics`` are of the model received,
        ``local_metrics`` of the one trained here. ``steps``: local optimiser steps. Raises ``BadInput`` naming
        what is wrong, ``Conflict`` when the task was submitted before.
        """
        if self.submitted:
            raise Conflict("was submitted before", where=f"round {self.round}", hint="submit once for each task")
        self._hand_in(Update(weights, samples, kind, metrics, local_metrics, steps))
        self.submitted = True


class _Federation:
    """Set by the worker before it runs a script."""

    tasks: Callable[[], Iterator[JoinedTask]] | None = None
    progress: Callable[[float, str], None] | None = None


def connect(tasks: Callable[[], Iterator[JoinedTask]] | None, progress: Callable[[float, str], None]) -> None:
    """From now on ``join`` and ``progress`` of this process belong to a federation. For the worker only."""
    _Federation.tasks, _Federation.progress = tasks, progress


def join(start: Mapping[str, Any] | None = None) -> Iterator[JoinedTask]:
    """The tasks of this site, one at a time, until the run ends; outside a federation one local round.

    ``start``: the weights of that local round (``model.state_dict()``, or arrays by name).
    """
    if start is not None and not isinstance(start, Mapping):
        raise BadInput(f"got a {type(start).__name__}", where="rondo.join", hint="join(model.state_dict())")
    if _Federation.progress is None:
        return _alone(start)
    if _Federation.tasks is None:
        raise Conflict("belongs to a script", where="rondo.join", hint="a trainer class gets its tasks as arguments")
    return _Federation.tasks()


def progress(fraction: float, detail: str = "") -> None:
    """How far the task at hand is (0 to 1), for whoever watches. Outside a federation it does nothing."""
    if _Federation.progress is not None:
        _Federation.progress(float(fraction), str(detail))


def _alone(start: Mapping[str, Any] | None) -> Iterator[JoinedTask]:
    def model() -> Mapping[str, Any]:
        if start is None:
            hint = "write rondo.join(model.state_dict())"
            raise BadInput("outside a federation there is no model to start from", where="task.model", hint=hint)
        return start

    here = Path.cwd()
    site = Site(name="alone", workspace=here, code=Path(sys.argv[0]).resolve().parent, data=None)
    task = JoinedTask(Task("train", 0, 1, derive_seed("alone"), site), model, _show)
    yield task
    if not task.submitted:
        sys.stderr.write("rondo: the task was not submitted; in a federation that is an error\n")


def _show(update: Update) -> None:
    if os.environ.get("RANK", "0") != "0":  # one of several that torchrun started: the first one talks
        return
    numbers = {**update.metrics, **update.local_metrics}
    shown = []
    for name, value in numbers.items():
        with suppress(TypeError, ValueError):
            shown.append(f"{name} {float(value):.4g}")
    sys.stdout.write(f"rondo: one local round, {update.samples} samples{''.join(f', {text}' for text in shown)}\n")
