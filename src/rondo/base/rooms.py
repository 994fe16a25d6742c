"""An extension is one module in the room of its kind; whoever needs them lists the room."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from rondo.base.errors import NotFound
from rondo.base.options import nearest


def names(room: str, marker: str = "build") -> list[str]:
    """Names of the extension modules of ``room`` (e.g. ``"rondo.aggregate"``): those that define ``marker``."""
    package = importlib.import_module(room)
    found = (entry.name for entry in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if hasattr(importlib.import_module(f"{room}.{name}"), marker))


def pick(room: str, name: str, marker: str = "build") -> ModuleType:
    """The extension ``name`` of ``room``.

    Raises ``NotFound`` with the nearest name there is. Only the module asked for is imported when it exists.
    """
    package = importlib.import_module(room)
    listed = {entry.name for entry in pkgutil.iter_modules(package.__path__)}
    if name.isidentifier() and name in listed:
        module = importlib.import_module(f"{room}.{name}")
        if hasattr(module, marker):
            return module
    kind = room.rsplit(".", 1)[-1]
    raise NotFound(f"no {name!r} in {kind}", hint=nearest(name, names(room, marker)))
