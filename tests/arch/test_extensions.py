"""An extension is one listed module: docstring, frozen ``Options``, and the marker of its room."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from rondo.aggregate.seam import Column
from rondo.base.errors import BadInput
from rondo.base.options import Options, decode
from tests.arch import rules
from tests.arch.tree import ROOT, read

# room -> (what each extension defines, modules of the room that are no extension)
ROOMS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "rondo.aggregate": (("Options", "build"), frozenset({"seam", "folding"})),
    "rondo.filters": (("Options", "build"), frozenset({"seam", "chain"})),
    "rondo.codecs": (("WAYS", "Options", "build"), frozenset({"seam", "coding"})),
    "rondo.trainers": (("Options", "build"), frozenset({"seam"})),
    "rondo.blobs": (("Options", "build"), frozenset({"seam"})),
    "rondo.commands": (("PERMISSION", "SCOPE", "EXAMPLE", "Options", "run"), frozenset({"desk", "rows", "seam"})),
}


def _modules(room: str) -> list[str]:
    listed = {entry.name for entry in pkgutil.iter_modules(importlib.import_module(room).__path__)}
    return sorted(name for name in listed if not name.startswith("_"))


LISTED = [(room, name) for room, (_, plain) in ROOMS.items() for name in _modules(room) if name not in plain]


def faults(module: ModuleType, markers: tuple[str, ...]) -> list[str]:
    """What keeps ``module`` from being an extension with these ``markers``."""
    found = [f"{module.__name__} does not define {marker}" for marker in markers if not hasattr(module, marker)]
    if len(module.__doc__ or "") < 20:
        found.append(f"{module.__name__} has no docstring")
    options = getattr(module, "Options", None)
    if options is not None:
        if not (isinstance(options, type) and issubclass(options, Options)):
            return [*found, f"{module.__name__}.Options is no rondo.base.options.Options"]
        settings = options.__struct_config__
        if not (settings.frozen and settings.forbid_unknown_fields):
            found.append(f"{module.__name__}.Options is not frozen, or takes unknown keys")
    for name in {"build", "run"} & set(markers):
        called = getattr(module, name, None)
        if called is not None and len(inspect.signature(called).parameters) < 1:
            found.append(f"{module.__name__}.{name} takes nothing")
    return found


@pytest.mark.parametrize(("room", "name"), LISTED)
def test_every_module_of_the_room_is_an_extension(room: str, name: str) -> None:
    assert faults(importlib.import_module(f"{room}.{name}"), ROOMS[room][0]) == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_room_has_extensions_and_what_stands_beside_them(room: str) -> None:
    names = set(_modules(room))
    assert ROOMS[room][1] <= names
    assert names - ROOMS[room][1]


def test_a_module_that_is_no_extension_is_told_what_it_lacks() -> None:
    module = ModuleType("planted")
    assert faults(module, ("Options", "build")) == [
        "planted does not define Options",
        "planted does not define build",
        "planted has no docstring",
    ]
    module.__doc__ = "A docstring that is long enough."
    module.build = lambda: None  # type: ignore[attr-defined]
    module.Options = msgspec.defstruct("Options", [("a", int, 1)])  # type: ignore[attr-defined]
    assert faults(module, ("Options", "build")) == ["planted.Options is no rondo.base.options.Options"]
    module.Options = Options  # type: ignore[attr-defined]
    assert faults(module, ("Options", "build")) == ["planted.build takes nothing"]


def test_the_example_for_contributors_is_an_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one in CONTRIBUTING.md: complete, within the rules, and it computes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.+?)```", text, re.S)
    file = tmp_path / "src" / "rondo" / "aggregate" / "midrange.py"
    file.parent.mkdir(parents=True)
    file.write_text(source)
    modules = read(tmp_path, "src").modules
    assert [fault for rule in rules.IN_SOURCE for fault in rule(modules)] == []

    monkeypatch.syspath_prepend(file.parent)
    module = importlib.import_module("midrange")
    sys.modules.pop("midrange")
    assert faults(module, ROOMS["rondo.aggregate"][0]) == []
    rule = module.build(decode(module.Options, {"weight": 0.25}, "aggregator midrange"))
    assert isinstance(rule, Column)
    rows = [np.array([1.0, 8.0]), np.array([5.0, 0.0]), np.array([2.0, 2.0])]
    assert rule.reduce(rows, [1.0, 1.0, 1.0]).tolist() == [2.0, 2.0]
    with pytest.raises(BadInput, match="weight must be from 0 to 1"):
        decode(module.Options, {"weight": 2.0}, "aggregator midrange")
