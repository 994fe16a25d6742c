"""What a trainer is. A module of this room with ``Options`` and ``build(options, site)`` makes one.

There are two kinds. A ``Trainer`` is called for each task; it keeps nothing that would keep it from being called
for another client next. A ``Program`` takes its tasks itself, through ``rondo.join()``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rondo.base.errors import BadInput
from rondo.jobs.task import Task, Update

Model = Mapping[str, NDArray[np.generic]]
"""Tensors by name, read-only and mapped from a file. bfloat16 is carried as its bits in ``uint16``."""


@runtime_checkable
class Trainer(Protocol):
    """Called for task after task, whichever client it is for.

    It may have ``local_best(model) -> Update | None``: the best local model that it keeps itself, for cross-site
    validation, with the names of ``model``. Without it (or None) the worker has kept the best that ``train`` returned.
    And ``leaves(model) -> Mapping | None``: what of that model leaves the site, None for all of it.
    """

    @property
    def evaluates(self) -> bool:
        """Whether ``validate`` measures anything. If so it is called on each model received, before ``train``."""

    def train(self, model: Model, task: Task) -> Update:
        """Train from ``model``. The update holds numpy arrays or torch tensors."""

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        """Samples looked at, and metrics of ``model``."""


@runtime_checkable
class Program(Protocol):
    """Asks for its tasks itself."""

    def run(self) -> None:
        """Run to the end; tasks are taken and answered meanwhile."""


def named(text: str, option: str) -> Any:
    """What ``text``, "module:name", names in the job's folder.

    Raises ``BadInput`` where there is no such module or name; what importing the module raises passes.
    """
    place, _, name = text.partition(":")
    if not place or not name:
        raise BadInput(f"{text!r} is not of the form module:name", where=option)
    try:
        found = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise BadInput(f"there is no module {error.name!r} in the job folder", where=option) from error
    if not hasattr(found, name):
        raise BadInput(f"module {place!r} has no {name!r}", where=option)
    return getattr(found, name)


def scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of an engine's metrics that are one number: of Python, or in an array or a tensor."""
    found = {}
    for name, value in metrics.items():
        size = value.numel() if hasattr(value, "numel") else getattr(value, "size", 0)
        number = value.item() if size == 1 else value
        if isinstance(number, int | float) and not isinstance(number, bool):
            found[str(name)] = float(number)
    return found
