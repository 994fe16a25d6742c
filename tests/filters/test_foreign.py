"""Filters of somebody else: what breaks an update is named, with the tensor, and the update stays at home.

They are real ones, in files: in a folder of their own that joins the room.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rondo.filters
from rondo.base.errors import BadInput
from rondo.filters.chain import UpdateFile, run_chain
from rondo.tensors.files import TensorFile, write_tensors

HEAD = '''"""A filter for a test."""
from dataclasses import replace
import numpy as np
from rondo.base import options as base
from rondo.filters.seam import Computed

class Options(base.Options, frozen=True):
    pass

def build(options):
    return Broken()

class Broken:
    def apply(self, outgoing, rng):
        w = outgoing.difference("w")
'''

BREAKS = {
    "returns_nothing": ("return None", "returned NoneType instead of an update"),
    "loses": ("return replace(outgoing, tensors={'n': outgoing.tensors['n']})", "'w' is neither sent nor omitted"),
    "omits_and_sends": ("return replace(outgoing, omitted=frozenset('wo'))", "'w' is both sent and omitted"),
    "renames": (
        "return replace(outgoing, tensors={'v': w, 'n': outgoing.tensors['n']}, omitted=frozenset('wo'))",
        "'v' is not in the model",
    ),
    "omits_a_stranger": ("return replace(outgoing, omitted=frozenset('xo'))", "'x' is not in the model"),
    "brings_back": (
        "return replace(outgoing, tensors=dict(outgoing.tensors) | {'o': np.zeros(1)}, omitted=frozenset())",
        "'o' was omitted before",
    ),
    "forgets_omitted": ("return replace(outgoing, omitted=frozenset())", "'o' was omitted before"),
    "reshapes": ("return replace(outgoing, tensors=dict(outgoing.tensors) | {'w': w[:1]})", r"'w' has shape \(1,\)"),
    "retypes": (
        "return replace(outgoing, tensors=dict(outgoing.tensors) | {'w': w.astype('f4')})",
        "'w' is float32 instead of float64",
    ),
    "retypes_integers": (
        "return replace(outgoing, tensors={'w': w, 'n': w})",
        "'n' is float64 instead of int64",
    ),
    "gives_a_list": ("return replace(outgoing, tensors=dict(outgoing.tensors) | {'w': [1, 2]})", "'w' is a list"),
    "makes_nan": ("return replace(outgoing, tensors=dict(outgoing.tensors) | {'w': w / 0 * 0})", "'w' holds NaN"),
    "makes_nan_late": (
        "return replace(outgoing, tensors=Computed(outgoing.dtypes, lambda name: w * np.inf if name == 'w' "
        "else outgoing.tensors[name]))",
        "'w' holds NaN or infinity",
    ),
}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "room"
    folder.mkdir()
    rondo.filters.__path__.append(str(folder))
    yield folder
    rondo.filters.__path__.remove(str(folder))


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
def test_it_is_named(name: str, room: Path, tmp_path: Path) -> None:
    body, message = BREAKS[name]
    (room / f"broken_{name}.py").write_text(f"{HEAD}        {body}\n")
    arrays = {"w": np.array([1.0, 2.0], np.float32), "n": np.array([1, 2])}
    model = write_tensors(tmp_path / "model", arrays | {"o": np.zeros(1)}).path
    update = UpdateFile(write_tensors(tmp_path / "update", arrays).path, "diff", frozenset({"o"}))
    chain = [(f"broken_{name}", {}), ("percentile", {"gamma": 1e9})]
    for after in (1, 2):
        with pytest.raises(BadInput, match=f"^filter broken_{name}: .*{message}"):
            run_chain(model, update, chain[:after], 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_filter_raises_passes(room: Path, tmp_path: Path) -> None:
    (room / "broken_raises.py").write_text(f"{HEAD}        raise ArithmeticError('no budget left')\n")
    path = write_tensors(tmp_path / "model", {"w": np.array([1.0])}).path
    with pytest.raises(ArithmeticError, match="no budget left"):
        run_chain(path, UpdateFile(path, "diff"), [("broken_raises", {})], 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_filter_has_a_chance_of_its_own(room: Path, tmp_path: Path) -> None:
    body = "return replace(outgoing, tensors={'w': w + rng.random(w.shape)})"
    (room / "adds_chance.py").write_text(f"{HEAD}        {body}\n")
    path = write_tensors(tmp_path / "model", {"w": np.array([0.0])}).path
    results = []
    for count in (1, 2, 2):
        run_chain(path, UpdateFile(path, "diff"), [("adds_chance", {})] * count, 5, tmp_path / "out")
        with TensorFile(tmp_path / "out") as file:
            results.append(float(file["w"][0]))
    assert results[1] == results[2] != 2 * results[0]
