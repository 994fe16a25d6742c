"""What a program imports when it starts: `rondo --help` nothing heavy, a training process no network."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

SLOW = {"grpc", "sqlalchemy", "alembic", "cryptography", "torch", "sklearn", "pandas", "pyzipper"}
HEAVY = SLOW | {"numpy", "matplotlib", "google", "yaml"}
NOT_IN_A_WORKER = SLOW | {"typer", "matplotlib"}

HELP = "import sys; sys.argv = ['rondo', '--help']; from rondo.cli.main import main; main()"


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh Python holds after ``code``, however it ended."""
    script = f"import atexit, sys; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)))\n{code}"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return {name.partition(".")[0] for name in outcome.stderr.splitlines()[-1].split()}


def test_help_loads_nothing_heavy() -> None:
    assert loaded(HELP) & HEAVY == set()


@pytest.mark.parametrize("code", ["import rondo", "import rondo; rondo.Update", "import rondo.base.rooms"])
def test_the_package_alone_loads_nothing_heavy(code: str) -> None:
    assert loaded(code) & HEAVY == set()


@pytest.mark.parametrize("module", ["rondo.worker.child", "rondo.worker.api"])
def test_a_training_process_has_no_network_and_no_ledger(module: str) -> None:
    assert loaded(f"import {module}") & NOT_IN_A_WORKER == set()


def test_a_client_holds_no_arrays() -> None:
    """Not even to say which codecs it knows: models are for its workers."""
    code = "import rondo.client.app; from rondo.base.rooms import listed; assert 'bf16' in listed('rondo.codecs')"
    assert loaded(code) & {"numpy", "zstandard", "torch", "sqlalchemy"} == set()


def test_what_is_loaded_is_seen() -> None:
    assert "numpy" in loaded("import numpy")
    assert "sqlalchemy" in loaded("import rondo.ledger.tables")


@pytest.mark.serial
def test_help_is_quick() -> None:
    """Processor time of a whole `rondo --help`, the least of seven runs: a busy machine can only add to it."""
    seconds = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3
