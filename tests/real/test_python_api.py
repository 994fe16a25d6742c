"""Rondo from Python against real processes: the examples of the docstrings and of the page, in scripts and notebooks.

The tests run in an event loop, as the code of a notebook's cell does: what is asked of the session waits in another.
"""

from __future__ import annotations

import asyncio
import doctest
import importlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import rondo
from rondo.base.errors import BadInput, Conflict, GaveUp, NotFound, RunAborted, RunFailed, Unreachable
from rondo.console.background import CLOSED
from rondo.simulator.local import ADMIN, SERVER
from tests.arch.tree import ROOT
from tests.real.gates import GATED, gated_job, gates
from tests.real.world import LONG, world, write_job

MODULES = ("rondo.console.api", "rondo.console.run")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(module: str) -> list[doctest.DocTest]:
    """Those of a module, from top to bottom."""
    found = doctest.DocTestFinder().find(importlib.import_module(module))
    return sorted((test for test in found if test.examples), key=lambda test: test.lineno or 0)


def execute(test: doctest.DocTest, names: Mapping[str, Any]) -> None:
    """Fails with what doctest says of the first example that gives something else."""
    told: list[str] = []
    test.globs = {**test.globs, **names}
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=told.append)
    assert not told, "".join(told)


async def test_the_examples_are_true(tmp_path: Path) -> None:
    job = write_job(tmp_path / "study", num_rounds=2)
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        made.let_look("a", "bb")
        kit = made.workspaces[ADMIN]
        with rondo.connect(kit) as admin:
            first = admin.submit(job).wait()
            names = {"rondo": rondo, "kit": kit, "admin": admin, "job": job, "run": first}
            tests = [test for module in MODULES for test in examples(module)]
            assert len(tests) > 12
            for test in tests:
                execute(test, names)


async def test_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        made.let_look("a", "bb")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "admin-kit").symlink_to(made.workspaces[ADMIN])
        write_job(tmp_path / "study", num_rounds=2)
        page = ROOT / "docs" / "python-api.md"
        text = page.read_text(encoding="utf-8").replace("```", "")
        execute(doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0), {})


async def test_how_a_run_ends_is_what_its_waiting_raises(tmp_path: Path) -> None:
    fails = GATED.replace(
        "    def train(self, model, task):", "    def train(self, model, task):\n        raise ValueError('no age')"
    )
    async with (
        gates(tmp_path / "data", ("a", 0)) as (gate,),
        world(tmp_path / "w", {"a": tmp_path / "data"}) as made,
    ):
        with rondo.connect(made.workspaces[ADMIN]) as admin:
            held = admin.submit(gated_job(tmp_path / "held", min_clients=1, num_rounds=1))
            await gate.reached()
            assert (held.refresh().state, held.line.round, held.line.by) == ("running", 0, ADMIN)
            with pytest.raises(GaveUp, match="is not over after 0 s"):
                held.wait(timeout=0)
            with pytest.raises(Conflict, match="already been started: run 1"):
                admin.submit(tmp_path / "held", when_busy="refuse")
            queued = admin.submit(write_job(tmp_path / "bad", code=fails, min_clients=1))
            assert [(run.id, run.state) for run in admin.runs()] == [(2, "submitted"), (1, "running")]
            held.abort()
            with pytest.raises(RunAborted, match=f"aborted by {ADMIN}"):
                held.wait()
            with pytest.raises(RunFailed, match="a: ValueError: no age") as failed:
                queued.wait(timeout=LONG)
            assert failed.value.failure["site"] == "a" and "raise ValueError" in failed.value.detail
            with pytest.raises(RunFailed):
                queued.show()

            for wrong, error in (
                (lambda: admin.run(99), NotFound),
                (lambda: queued.model("best"), NotFound),
                (lambda: queued.model("../x"), BadInput),
                (lambda: admin.submit(tmp_path / "nowhere"), BadInput),
                (lambda: admin.command("chek_status server"), NotFound),
                (lambda: admin.command("'open quote"), BadInput),
                (lambda: admin.command(""), NotFound),
                (lambda: admin.command("abort client a"), Conflict),
                (held.abort, Conflict),
                (lambda: rondo.connect(made.workspaces["a"]), BadInput),
                (lambda: rondo.connect(tmp_path), BadInput),
            ):
                with pytest.raises(error):
                    wrong()
            told = admin.command("abort client a", check=False)
            assert "Error: Client training has already stopped." in str(told) and "Error:" in told._repr_html_()
            await made.stop(SERVER)
            with pytest.raises(Unreachable):
                admin.status()
        with pytest.raises(Conflict, match=CLOSED):
            admin.status()
        with pytest.raises(Unreachable):
            rondo.connect(made.workspaces[ADMIN])


async def test_what_waits_when_a_session_is_closed_is_told_so(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        admin, other = rondo.connect(made.workspaces[ADMIN]), rondo.connect(made.workspaces[ADMIN])
        run = admin.submit(write_job(tmp_path / "job", min_clients=2))  # one more than there are
        said: list[str] = []
        seen = threading.Event()

        def wait() -> None:
            try:
                run.wait(progress=lambda board: seen.set())
            except Conflict as error:
                said.append(error.what)

        waiting = asyncio.create_task(asyncio.to_thread(wait))
        await asyncio.to_thread(seen.wait, LONG)
        admin.close()
        admin.close()
        await waiting
        assert said == [CLOSED]
        other.run(run.id).abort()
        watching = other.run(run.id).watch()
        assert next(watching).kind == "run_submitted"
        other.close()
        watching.close()
        assert not any(thread.name.startswith("rondo") for thread in threading.enumerate())
