"""The rules of the house, on the real tree and on planted faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arch import rules
from tests.arch.rules import IN_SOURCE, IN_TESTS, Rule
from tests.arch.tree import ROOT, Module, house, read


@pytest.mark.parametrize("rule", IN_SOURCE, ids=lambda rule: rule.__name__)
def test_in_the_source(rule: Rule) -> None:
    assert rule(house("src", "tools", "examples", "benchmarks").modules) == []


@pytest.mark.parametrize("rule", IN_TESTS, ids=lambda rule: rule.__name__)
def test_in_the_tests(rule: Rule) -> None:
    assert rule(house("tests").modules) == []


EXCEPTIONS = [
    (rules.SLEEPERS, rules.nobody_sleeps),
    (rules.LAST_RESORTS, rules.nobody_catches_everything),
    (rules.WIDE, rules.classes_are_small),
]


@pytest.mark.parametrize(("listed", "rule"), EXCEPTIONS, ids=["sleepers", "last resorts", "wide"])
def test_no_exception_is_listed_that_nobody_needs(listed: dict[str, str], rule: Rule) -> None:
    modules = tuple(m for m in house("src", "tests", "benchmarks").modules if any(_is_of(key, m) for key in listed))
    assert _unneeded(listed, rule, modules) == []
    listed["src/rondo/base/clock.py"] = "a planted one"
    found = _unneeded(listed, rule, modules)
    listed.pop("src/rondo/base/clock.py")
    assert found == ["src/rondo/base/clock.py"]


def _is_of(key: str, module: Module) -> bool:
    return key == module.path or key.startswith(f"{module.name}.")


def _unneeded(listed: dict[str, str], rule: Rule, modules: tuple[Module, ...]) -> list[str]:
    """The exceptions without which the rule would find nothing more."""
    before, found = len(rule(modules)), []
    for key in list(listed):
        reason = listed.pop(key)
        if len(rule(modules)) == before:
            found.append(key)
        listed[key] = reason
    return found


MANY_METHODS = "class A:\n" + "\n".join(f"    def m{n}(self): return {n}" for n in range(13))
LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 60
DEEP = "class A: x = 1\nclass B(A): x = 2\nclass C(B): x = 3"
DEEP_ERRORS = "class E(Exception): x = 1\nclass F(E): x = 2\nclass G(F): x = 3\nclass H(G): x = 4"

PLANTED = [
    (rules.names_say_something, "class RunManager: x = 1", 1),
    (rules.names_say_something, "class HTTPHandlers: x = 1\nclass EngineRoom: x = 1", 2),
    (rules.classes_are_shallow, DEEP, 3),
    (rules.classes_are_shallow, DEEP_ERRORS, 4),
    (rules.files_are_short, "x = 1\n" * 401, 401),
    (rules.functions_are_short, LONG_FUNCTION, 1),
    (rules.classes_are_small, MANY_METHODS, 1),
    (rules.nobody_sleeps, "import time\nwhile True: time.sleep(0.1)", 2),
    (rules.nobody_sleeps, "from asyncio import sleep\nasync def f(): await sleep(1)", 2),
    (rules.nobody_catches_everything, "try: x = 1\nexcept Exception: x = 2", 2),
    (rules.nobody_catches_everything, "try: x = 1\nexcept: x = 2", 2),
    (rules.nobody_catches_everything, "try: x = 1\nexcept (ValueError, BaseException): x = 2", 2),
    (rules.nothing_is_pickled, "import json, pickle", 1),
    (rules.nothing_is_pickled, "import torch\ntorch.load('m.pt')", 2),
    (rules.nothing_is_pickled, "import torch\ntorch.load('m.pt', weights_only=False)", 2),
    (rules.nothing_is_pickled, "import numpy as np\nnp.load('m.npy', allow_pickle=True)", 2),
    (rules.nothing_is_left_open, "x = 1  # TO" + "DO: more", 1),
    (rules.nothing_is_left_open, "def f():\n    raise NotImplemented" + "Error", 2),
    (rules.nothing_is_left_open, "def f(): ...", 1),
    (rules.nothing_is_left_open, "class A:\n    def f(self):\n        pass", 2),
    (rules.tests_use_the_real_thing, "from unittest import mock", 1),
    (rules.tests_use_the_real_thing, "import unittest.mock", 1),
    (rules.tests_use_the_real_thing, "def test_a(monkeypatch):\n    monkeypatch.setattr('a.b', 1)", 2),
    (rules.tests_are_run, "import pytest\n@pytest.mark.skip\ndef test_a(): assert 1", 2),
    (rules.tests_are_run, "import pytest\n@pytest.mark.skipif(True, reason='')\ndef test_a(): assert 1", 2),
    (rules.tests_are_run, "import pytest\ndef test_a(): pytest.xfail('later')", 2),
    (rules.tests_are_run, "import pytest\nnumpy = pytest.importorskip('numpy')", 2),
]


@pytest.mark.parametrize(("rule", "source", "line"), PLANTED)
def test_a_planted_fault_is_found(rule: Rule, source: str, line: int, tmp_path: Path) -> None:
    faults = rule(_plant(tmp_path, source))
    assert faults and faults[-1].startswith(f"src/rondo/net/planted.py:{line}: ")


FINE = [
    (rules.names_say_something, "class Round: x = 1\nclass Serviceable: x = 1\nclass Engineer: x = 1"),
    (rules.classes_are_shallow, "class A: x = 1\nclass B(A): x = 2\nclass C(A): x = 3"),
    (rules.classes_are_shallow, "class E(Exception): x = 1\nclass F(E): x = 2\nclass G(F): x = 3"),
    (rules.classes_are_small, MANY_METHODS.replace("m12", "_m12")),
    (rules.functions_are_short, LONG_FUNCTION.removesuffix("    x = 1\n")),
    (rules.files_are_short, "x = 1\n" * 400),
    (rules.nobody_sleeps, "import asyncio\nasync def f(): await asyncio.sleep(0)\ncode = 'time.sleep(9)'"),
    (rules.nobody_catches_everything, "try: x = 1\nexcept BaseException:\n    x = 2\n    raise"),
    (rules.nobody_catches_everything, "try: x = 1\nexcept (OSError, ValueError): x = 2"),
    (rules.nothing_is_pickled, "import torch\ntorch.load('m.pt', weights_only=True)"),
    (rules.nothing_is_left_open, "from typing import Protocol\nclass A(Protocol):\n    def f(self): ..."),
    (rules.tests_use_the_real_thing, "def test_a(monkeypatch):\n    monkeypatch.setenv('A', '1')"),
]


@pytest.mark.parametrize(("rule", "source"), FINE)
def test_what_is_allowed_is_not_found(rule: Rule, source: str, tmp_path: Path) -> None:
    assert rule(_plant(tmp_path, source)) == []


def test_depth_is_counted_across_files(tmp_path: Path) -> None:
    room = tmp_path / "src" / "rondo" / "net"
    room.mkdir(parents=True)
    (room / "first.py").write_text("class A: x = 1\n")
    (room / "second.py").write_text("from rondo.net.first import A as First\nclass B(First): x = 1\n")
    (room / "third.py").write_text("import rondo.net.second\nclass C(rondo.net.second.B): x = 1\n")
    faults = rules.classes_are_shallow(read(tmp_path, "src").modules)
    assert faults == ["src/rondo/net/third.py:2: class C is 3 deep (at most 2)"]


@pytest.mark.parametrize("bare", ["def f(): return 1", "async def f(): return 1", "class A: x = 1"])
def test_public_things_say_what_they_are(bare: str, tmp_path: Path) -> None:
    source = f'"""A module that says what it is."""\n{bare}\n'
    assert rules.public_things_are_told(_plant(tmp_path, source)) == []
    faults = rules.public_things_are_told(_plant(tmp_path, source, room="filters"))
    assert len(faults) == 1 and faults[0].startswith("src/rondo/filters/planted.py:2: ")
    assert len(rules.public_things_are_told(_plant(tmp_path, '"""."""'))) == 2


# ---- text: what must stand in no file -----------------------------------------------------------------------------

# Paths of one machine. Written apart, or this file would hold one.
MACHINE = re.compile("|".join(["(?<![\\w.])/" + name + "/" for name in ("work", "root", "home")]))
# The folder that every machine has: tests name it as what a hostile archive aims at, programs use ``tempfile``.
SHARED = re.compile("(?<![\\w.])/" + "tmp/")


def test_no_path_of_a_machine_is_written_down() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE.search(line) or (SHARED.search(line) and not path.is_relative_to(ROOT / "tests"))
    ]
    assert faults == []


@pytest.mark.parametrize("text", ["cd /" + "work/x", "'/" + "home/a'", "open('/" + "root/.ssh')"])
def test_a_machine_path_is_known(text: str) -> None:
    assert MACHINE.search(text)
    assert SHARED.search("mv a '/" + "tmp/a'")
    assert not MACHINE.search("rondo/server/work/x and ./home/x")
    assert not SHARED.search("rondo/server/tmp/x and ./tmp/x")


def _texts() -> Iterator[Path]:
    folders = ("src", "tests", "tools", "docs", "examples", "benchmarks", ".ci")
    kinds = {".py", ".pyi", ".md", ".toml", ".yml", ".yaml", ".json", ".proto", ".sh", ".txt", ""}
    yield from (path for path in ROOT.iterdir() if path.suffix in kinds and path.is_file() and path.name != ".git")
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in kinds and "egg-info" not in str(path):
                yield path


def _plant(base: Path, source: str, room: str = "net") -> tuple[Module, ...]:
    file = base / "src" / "rondo" / room / "planted.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source.rstrip("\n") + "\n")
    return read(base, "src").modules
