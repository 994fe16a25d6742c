"""Faults of the machine: a clear error, others go on, and once it is mended all goes on from where it was."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rondo.simulator.local import SERVER
from tests.real.faults import BOUND, closed, full_disk, locked
from tests.real.gates import gated_job, printed, processes
from tests.real.test_nothing_lost import BIG, CLIENT, expected, job, result
from tests.real.test_worker_kills import release
from tests.real.world import LONG, World, world, write_job

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
        (site / "seats").mkdir()
        (site / "seats" / "0.json").symlink_to("/dev/full")  # a disk that is full when the session is written down
        await refuses_to_start(made, "a", "0.json: cannot write down the session: No space left", HINTS)
        assert (await made.session.facts("check_status", "server"))["clients"] == []
        (site / "seats" / "0.json").unlink()
        await made.start("a", command=BOUND)
        await made.logged_in("a")
        _, events = await made.run(gated_job(tmp_path / "job", num_rounds=1, min_clients=1))
        assert events[-1].kind == "run_finished"


async def test_a_server_that_cannot_write_goes_on_from_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(3):
        os.mkfifo(data / f"hold-{number}")
    async with world(tmp_path / "w", {"a": data, "bb": None}, command={SERVER: BOUND}) as made:
        run = await made.session.submit(job(tmp_path))
        folder, log = made.workspaces[SERVER], made.workspaces["a"] / f"run_{run}" / "a.log"

        # Round 0: the disk is full in the middle of an upload of 4 MB. The client waits, and sends the rest.
        await printed(log, "training round 0 at a")
        with full_disk(made.pid(SERVER), room=3 << 20):
            await release(data / "hold-0")
            await printed(made.folder / "a.out", "cannot write: File too large", count=2)
            await made.until("progress", run, client="a", phase="waiting for room at the server")
            assert "cannot write: File too large" in made.output(SERVER)
            assert max(path.stat().st_size for path in (folder / "spool" / "a").iterdir()) == 3 << 20

        # Round 1: nothing at all can be written, by the server or its worker, when the updates come.
        await printed(log, "training round 1 at a")
        with full_disk(*(process.pid for process in processes(made.pid(SERVER)))):
            await release(data / "hold-1")
            await printed(made.folder / "a.out", "the ledger cannot be written", count=2)

        # Round 2: one folder after the other: where updates arrive, where they are folded, where the results are.
        await printed(log, "training round 2 at a")
        out = made.folder / f"{SERVER}.out"
        with closed(folder / "blobs"):
            with closed(folder / f"run_{run}"):
                with closed(folder / "spool"):
                    with closed(folder / "spool" / "a"):
                        await release(data / "hold-2")
                        await printed(made.folder / "a.out", "cannot write: Permission denied", count=2)
                    await printed(out, f"{folder / 'spool' / '.folded'}")
                await printed(out, "metrics.jsonl: cannot write: Permission denied")
            await printed(out, "cannot keep the file: Permission denied")

        events = await made.ended(run)
        assert await result(made, run, events) == expected(tmp_path)
        # Whoever watched could see what the run waited for.
        whys = " ".join(event.data["why"] for event in events if event.kind == "waiting")
        assert "metrics.jsonl: cannot write: Permission denied" in whys and "cannot keep the file" in whys


async def test_a_ledger_that_somebody_else_holds_stops_nobody_for_good(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.mkfifo(data / "hold-1")
    async with world(tmp_path / "w", {"a": data, "bb": None}, command={SERVER: BOUND}) as made:
        run = await made.session.submit(job(tmp_path))
        watching = asyncio.create_task(made.ended(run))
        folder, log = made.workspaces[SERVER], made.workspaces["a"] / f"run_{run}" / "a.log"
        await printed(log, "training round 1 at a")
        with locked(folder / "ledger.db"):
            await release(data / "hold-1")
            await printed(made.folder / "a.out", "the ledger is not to be had: database is locked")
            await printed(made.folder / f"{SERVER}.out", "database is locked")
            code, answer = await made.admin("check_status server")
            assert code == 11 and "database is locked" in str(answer), answer
            late = asyncio.create_task(made.ended(run))  # begins to watch while nothing can be read
            await printed(made.folder / f"{SERVER}.out", "Desk/Watch: ")
        events = await watching
        both = [[one.number for one in seen if one.kind != "progress"] for seen in (events, await late)]
        assert both[0] == both[1]
        assert await result(made, run, events) == expected(tmp_path)

        # A run that waits for its disk can still be ended.
        with closed(folder / "spool"):
            run = await made.session.submit(gated_job(tmp_path / "waits", num_rounds=1))
            await printed(made.folder / f"{SERVER}.out", f"{folder / 'spool'}")
            assert (await made.admin(f"abort_run {run}"))[0] == 0
            assert (await made.ended(run))[-1].kind == "run_aborted"


async def test_a_site_whose_disk_is_full_sits_rounds_out_and_is_back_when_there_is_room(tmp_path: Path) -> None:
    held = {"a": tmp_path / "at_a", "bb": tmp_path / "at_bb"}
    for folder, number in ((held["a"], 0), (held["bb"], 2)):
        folder.mkdir()
        os.mkfifo(folder / f"hold-{number}")
    async with world(tmp_path / "w", held) as made:
        before = made.pid("a")
        folder = write_job(
            tmp_path / "job", toml=BIG + CLIENT, num_rounds=4, min_clients=1, wait_after_min_clients=LONG,
            final_validation=False,
        )  # fmt: skip
        run = await made.session.submit(folder)
        await printed(made.workspaces["a"] / f"run_{run}" / "a.log", "training round 0 at a")
        with full_disk(*(process.pid for process in processes(made.pid("a"))), room=1 << 20):
            await release(held["a"] / "hold-0")
            told = [await made.until("task_failed", run, client="a", round=number) for number in range(3)]
        await release(held["bb"] / "hold-2")
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        for event in told:  # what it trained could not be written in round 0, the model that came in rounds 1 and 2
            assert "cannot write: File too large" in event.data["error"] and HINTS in event.data["error"]
        taken = [event.data["contributors"] for event in events if event.kind == "round_committed"]
        assert taken == [["bb"], ["bb"], ["bb"], ["a", "bb"]]
        assert made.pid("a") == before
