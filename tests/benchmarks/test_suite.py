"""Every benchmark is listed, so that `make bench` forgets none."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import benchmarks
from benchmarks.__main__ import SUITE
from benchmarks.case import Case, Failed
from benchmarks.round import require_room

# Run by hand or by other commands: module -> why.
APART = {
    "peers": "make bench-peers",
    "environments": "makes what bench-peers needs",
    "scale": "make bench-scale",
    "plots": "draws what scale and peers measured",
    "pages": "writes what all have measured",
    "codecs": "trains the demo's job a hundred times; docs/guide/jobs.md quotes it",
}


def test_every_module_that_measures_is_listed() -> None:
    names = [entry.name for entry in pkgutil.iter_modules(benchmarks.__path__) if not entry.name.startswith("_")]
    able = {name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "main")}
    assert able - set(APART) == {listed.module for listed in SUITE} - {"micro"}


def test_the_suite_fits_into_ten_minutes() -> None:
    assert sum(listed.seconds for listed in SUITE) < 600


def test_a_disk_that_would_fill_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="set TMPDIR"):
        require_room(Case(1e9, 2, 1), tmp_path)
    require_room(Case(0.001, 2, 1), tmp_path)
