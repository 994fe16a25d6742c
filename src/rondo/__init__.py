"""Federated learning: one model, trained where the data stays.

Looked up when first used, so that ``import rondo`` costs nothing. For a training script: ``join`` (the loop of tasks),
``progress``, and the values ``Update``, ``Task`` and ``Site`` of a trainer class. For an admin's script or notebook:
``connect``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rondo.console.api import connect
    from rondo.jobs.task import Site, Task, Update
    from rondo.worker.api import join, progress

__all__ = ["Site", "Task", "Update", "connect", "join", "progress"]

_HOME = {
    "Site": "rondo.jobs.task",
    "Task": "rondo.jobs.task",
    "Update": "rondo.jobs.task",
    "connect": "rondo.console.api",
    "join": "rondo.worker.api",
    "progress": "rondo.worker.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rondo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
