"""Rooms look down only; pure rooms touch neither clock nor chance nor sockets. Each check proves itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.arch.floors import FLOOR, impure, late, upward
from tests.arch.tree import ROOT, Module, house, read

Check = Callable[[Iterable[Module]], list[str]]


@pytest.mark.parametrize("check", [upward, late, impure])
def test_the_house_stands(check: Check) -> None:
    assert check(house("src").modules) == []


def test_every_file_parses() -> None:
    assert house("src", "tests", "tools", "examples", "benchmarks").broken == ()


def test_every_room_has_its_floor_and_stands() -> None:
    rooms = {folder.name for folder in (ROOT / "src" / "rondo").iterdir() if (folder / "__init__.py").exists()}
    assert rooms <= set(FLOOR)


PLANTED = [
    (upward, "tensors", "import rondo.net.methods", "upward"),
    (upward, "tensors", "from rondo import server", "upward"),
    (upward, "tensors", "from ..ledger import tables", "upward"),
    (upward, "base", "from rondo.base.errors import BadInput\nfrom rondo.tensors.digest import Hasher", "upward"),
    (upward, "filters", "from rondo.aggregate.seam import Fold", "neighbour"),
    (upward, "ledger", "def f():\n    from rondo.server import app", "upward"),
    (upward, "rounds", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rondo.net", "upward"),
    (upward, "worker", "import importlib\nimportlib.import_module('rondo.cli.main')", "upward"),
    (upward, "attic", "x = 1", "stands on no floor"),
    (upward, "server", "from rondo.attic import x", "no room"),
    (upward, "trainers", "import rondo", "neighbour"),
    (upward, "simulator", "from rondo.cli import main", "upward"),
    (late, "ledger", "import importlib\ndef f():\n    importlib.import_module('rondo.base.ids')", "inside a function"),
    (late, "ledger", "def f():\n    import json", "inside a function"),
    (late, "net", "class A:\n    def f(self):\n        from json import loads", "inside a function"),
    (impure, "rounds", "import time", "imports time"),
    (impure, "tensors", "from asyncio import sleep", "imports asyncio"),
    (impure, "policy", "def f():\n    import random  # noqa: PLC0415", "imports random"),
    (impure, "pki", "from datetime import datetime\nat = datetime.now()", "reads the clock"),
    (impure, "pki", "import datetime\nat = datetime.datetime.now(datetime.UTC)", "reads the clock"),
    (impure, "pki", "text = open('key').read()", "opens a file"),
    (impure, "pki", "import tempfile", "imports tempfile"),
]


@pytest.mark.parametrize(("check", "room", "source", "says"), PLANTED)
def test_a_planted_import_is_found(check: Check, room: str, source: str, says: str, tmp_path: Path) -> None:
    faults = check(_plant(tmp_path, room, source))
    assert len(faults) == 1
    assert faults[0].startswith(f"src/rondo/{room}/planted.py:{len(source.splitlines()) if room != 'attic' else 1}: ")
    assert says in faults[0]


FINE = [
    (upward, "simulator", "import rondo"),
    (late, "trainers", "import importlib\ndef f():\n    importlib.import_module('torch')"),
    (upward, "server", "from rondo.net import methods\nimport rondo.base.errors\nfrom . import app"),
    (late, "cli", "def f():\n    import rondo.server.app"),
    (late, "trainers", "def f():\n    import torch  # noqa: PLC0415  (a second to import)"),
    (impure, "net", "import asyncio, socket, time, random"),
    (impure, "pki", "import datetime\ndef f(now: datetime.datetime): return now + datetime.timedelta(1)"),
]


@pytest.mark.parametrize(("check", "room", "source"), FINE)
def test_what_is_allowed_is_not_found(check: Check, room: str, source: str, tmp_path: Path) -> None:
    assert check(_plant(tmp_path, room, source)) == []


def test_the_package_itself_imports_only_when_asked(tmp_path: Path) -> None:
    roof = tmp_path / "src" / "rondo" / "__init__.py"
    roof.parent.mkdir(parents=True)
    roof.write_text("from rondo.worker.api import join\n")
    assert len(upward(read(tmp_path, "src").modules)) == 1
    roof.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rondo.worker.api import join\n")
    assert upward(read(tmp_path, "src").modules) == []
    roof.write_text("def join():\n    from rondo.worker import api  # noqa: PLC0415\n    return api.join()\n")
    assert upward(read(tmp_path, "src").modules) == []


def test_a_syntax_error_is_told_with_its_place(tmp_path: Path) -> None:
    _plant(tmp_path, "net", "def f(:\n    pass")
    assert read(tmp_path, "src").broken == ("src/rondo/net/planted.py:1: invalid syntax",)


def _plant(base: Path, room: str, source: str) -> tuple[Module, ...]:
    file = base / "src" / "rondo" / room / "planted.py"
    file.parent.mkdir(parents=True)
    file.write_text(source + "\n")
    return read(base, "src").modules
