"""An extension is one module in the room of its kind; whoever needs them lists the room."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from rondo.base.errors import NotFound
from rondo.base.options import nearest


def names(room: str, marker: str = "build") -> list[str]:
    """Names of the extension modules of ``room`` (e.g. ``"rondo.aggregate"``): those that define ``marker``."""
    package = importlib.import_module(room)
    found = (entry.name for entry in pkgutil.iter_modules(package.__path__))
    public = (name for name in found if not name.startswith("_"))  # what is private may be heavy, and is no extension
    return sorted(name for name in public if hasattr(importlib.import_module(f"{room}.{name}"), marker))


def listed(room: str, marker: str = "build") -> list[str]:
    """Like ``names``, by a look at the sources: whoever only says what it knows need not load it."""
    package = importlib.import_module(room)
    files = {entry.name: Path(path) / f"{entry.name}.py" for path in package.__path__ for entry in _in(path)}
    return sorted(name for name, file in files.items() if f"\ndef {marker}(" in file.read_text(encoding="utf-8"))


def _in(path: str) -> Iterator[pkgutil.ModuleInfo]:
    return (entry for entry in pkgutil.iter_modules([path]) if not entry.ispkg)


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
