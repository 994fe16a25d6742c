"""Killed between what makes a file needless and its removal, a program leaves nothing behind for good."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rondo.base.clock import SystemClock
from rondo.server.usage import Usage, usage
from rondo.simulator.local import SERVER
from rondo.tensors.digest import file_digest
from tests.real.gates import printed
from tests.real.killpoint import LEAVING
from tests.real.test_nothing_lost import BIG, CLIENT, deadly
from tests.real.world import World, world, write_job

ROUNDS, KEPT = 4, 2
# the point, and which passing of it: in the middle of the run where there are several
POINTS = {point: 1 if "package" in point or "run" in point else 3 for point in LEAVING}


def used(made: World) -> Usage:
    return usage(made.workspaces[SERVER], "", SystemClock().now())


def files(used: Usage) -> dict[str, int]:
    """How many files serve what is not of the same number in every run."""
    return {line.what: line.files for line in used.lines if line.what in ("models", "spooled updates", "left behind")}


def kept(made: World, run: int) -> dict[str, str]:
    """The updates that are kept: their digests by where they lie."""
    folder = made.workspaces[SERVER] / f"run_{run}" / "updates"
    return {str(path.relative_to(folder)): file_digest(path).digest for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("point", POINTS)
async def test_nothing_is_left_of_what_a_killed_server_was_removing(point: str, tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly(point, POINTS[point])}) as made:
        job = write_job(tmp_path / "job", num_rounds=ROUNDS, keep_updates=KEPT)
        submitting = asyncio.create_task(made.session.submit(job))
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        assert await submitting == 1
        events = await made.ended(1)
        assert events[-1].kind == "run_finished"

        # What counted in the last rounds, and where it is kept: also after the server has started once more.
        models = (await made.session.facts("list_models", "1"))["models"]
        counted = {
            f"round_{model['provenance']['round']}/{of['client']}.safetensors": of["digest"]
            for model in models
            for of in model["provenance"].get("contributors", [])
        }
        expected = {path: digest for path, digest in counted.items() if path >= f"round_{ROUNDS - KEPT}"}
        assert len(expected) == 2 * KEPT and kept(made, 1) == expected
        await made.sessions.aclose()
        assert await made.stop(SERVER) == 0
        assert files(used(made)) == {"models": 1}
        await made.start(SERVER)
        await made.log_in()
        assert files(used(made)) == {"models": 1} and kept(made, 1) == expected
        assert [path.name for path in (made.workspaces[SERVER] / "spool").iterdir()] in ([], ["a"], ["bb"], ["a", "bb"])


@pytest.mark.parametrize("point", ["while it pulls", "before it sends", "after it sent"])
async def test_a_client_that_was_killed_keeps_nothing_but_what_is_the_sites(point: str, tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={"a": deadly(point, 2)}) as made:
        job = write_job(tmp_path / "job", toml=BIG + CLIENT, num_rounds=2)
        run = await made.session.submit(job)
        assert await made.wait("a") == -9, "the client did not come to the point"
        assert list((made.workspaces["a"] / "cache" / "a").iterdir())
        await made.start("a")
        assert (await made.ended(run))[-1].kind == "run_finished"
        for name in ("a", "bb"):
            await printed(made.folder / f"{name}.out", f"needed no more, swept: cache/{name} (")
            folder = made.workspaces[name]
            assert list((folder / "cache").iterdir()) == []
            left = sorted(path.name for path in (folder / "run_1").iterdir())
            assert left == sorted([f".mmar_{name}.digest", f"{name}.log", f"mmar_{name}"])
