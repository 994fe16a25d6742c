"""Faults of the machine: a clear error, others go on, and once it is mended all goes on from where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.simulator.local import SERVER
from tests.real.faults import BOUND, closed, full_disk, locked
from tests.real.gates import gated_job, printed
from tests.real.world import World, world

HINTS = "(free space or fix the folder's rights)"


async def refuses_to_start(made: World, name: str, *words: str) -> None:
    """It ends with exit code 11, and its last line says what is wrong, where, and what to do."""
    await made.start(name, command=BOUND)
    code = await made.wait(name)
    last = made.output(name).strip().splitlines()[-1]
    assert code == 11, made.output(name)[-2000:]
    assert last.startswith("Error: ") and all(word in last for word in words), last


async def test_what_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}, command={SERVER: BOUND}, absent=["a"]) as made:
        await made.stop(SERVER)
        server, site = made.workspaces[SERVER], made.workspaces["a"]

        with closed(server):
            await refuses_to_start(made, SERVER, "ledger.db", "cannot be written", HINTS)
        with closed(server / "spool"):
            (server / "spool").rmdir()
            (server / "spool").touch()
            await refuses_to_start(made, SERVER, str(server), "cannot write in the workspace", HINTS)
            (server / "spool").unlink()
            (server / "spool").mkdir()
        with locked(server / "ledger.db"):
            await refuses_to_start(made, SERVER, "ledger.db", "locked", "(end the other process that holds it")

        await made.start(SERVER, command=BOUND)
        await made.log_in()
        with closed(site):
            await refuses_to_start(made, "a", str(site), "Permission denied", HINTS)
        (site / "seats").touch()
        await refuses_to_start(made, "a", str(site / "seats"), "cannot write in the workspace", HINTS)
        (site / "seats").unlink()
        await made.start("a", command=BOUND)
        await made.logged_in("a")
        _, events = await made.run(gated_job(tmp_path / "job", num_rounds=1, min_clients=1))
        assert events[-1].kind == "run_finished"
