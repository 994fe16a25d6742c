"""Answers of Clara's FAQ (spec 15), typed at the real console: what it says, and what then is so."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from rondo.simulator.local import ADMIN, SERVER
from tests.real.gates import gated_job, gates
from tests.real.screen import ENTER, Screen, console
from tests.real.test_console import moved, server_says
from tests.real.test_faq_clients import accepted
from tests.real.test_ranks import MODEL, PLAIN
from tests.real.world import World, world, write_job

SURE = "Are you sure (Y/N):"


@asynccontextmanager
async def at_the_console(made: World) -> AsyncIterator[Screen]:
    async with console(Path(made.workspaces[ADMIN] / "startup" / "fl_admin.sh"), user=ADMIN) as at:
        yield at


async def statuses(at: Screen) -> dict[str, str]:
    """What every client does, by ``check_status client``."""
    shown = [
        re.match(r"instance:(\S+) : .*status: ([a-z ]+?)(  |$)", row)
        for row in await server_says(at, "check_status client")
    ]
    return {found[1]: found[2] for found in shown if found}


async def sure(at: Screen, line: str) -> list[str]:
    """What a dangerous command answers to somebody who means it."""
    await at.answers(line + ENTER, SURE)
    return await at.answers("Y" + ENTER)


async def typed(at: Screen, lines: Sequence[str]) -> None:
    for line in lines:
        answer = await (moved(at, line) if line.startswith("upload") else server_says(at, line))
        assert not any("Error" in row for row in answer), (line, answer)


async def test_faq_C5_C6_T7_every_process_has_its_name_and_token_and_takes_commands_for_itself(tmp_path: Path) -> None:
    names = ["flclient1", "flclient1_1", "flclient1_2", "other"]
    data = tmp_path / "data"
    async with (
        gates(data, *((name, 0) for name in names)) as guards,
        world(tmp_path / "w", {"flclient1": data, "other": data}) as made,
    ):
        for name in names[1:3]:
            made.workspaces[name] = made.workspaces["flclient1"]
            await made.start(name, "--data", str(data))
            await made.logged_in(name)
        gated_job(made.workspaces[ADMIN] / "transfer" / "study", num_rounds=1, wait_after_min_clients=600)
        async with at_the_console(made) as at:
            table = [
                row.split("|")[1:3] for row in await server_says(at, "check_status server") if row.startswith("| ")
            ]
            assert [name.strip() for name, _ in table[1:]] == names and len({token for _, token in table[1:]}) == 4
            lines = ["upload_folder study", "set_run_number 1", "deploy study server", "deploy study client"]
            await typed(at, [*lines, "start server", "start client"])
            for guard in guards:
                await guard.reached()
            assert await server_says(at, "abort client flclient1_1 other") == [
                "instance:flclient1_1 : Aborting the client...", "", "instance:other : Aborting the client...", "",
            ]  # fmt: skip
            assert await statuses(at) == dict(zip(names, ["training started", "training stopped"] * 2, strict=True))
            for guard in guards:
                guard.open()
            events = await made.ended(1)
        assert accepted(events, 0) == ["flclient1", "flclient1_2"]
        run = made.workspaces["flclient1"] / "run_1"
        assert sorted(path.name for path in run.glob("mmar_*")) == [f"mmar_{name}" for name in names[:3]]


async def test_faq_T5_T6_T9_models_follow_each_other_in_the_same_processes(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        transfer = made.workspaces[ADMIN] / "transfer"
        for name, step in (("one", 1.0), ("two", 3.0)):
            gated_job(transfer / name, step=step, num_rounds=1, min_clients=2)
        model = made.workspaces[SERVER] / "run_5" / "mmar_server" / "models" / "FL_global_model.safetensors"
        pids = {name: made.pid(name) for name in (SERVER, "a", "bb")}
        async with at_the_console(made) as at:
            await typed(at, ["upload_folder one", "upload_folder two", "set_run_number 5", "deploy one server"])
            await typed(at, ["deploy one client a", "deploy two client bb", "start server", "start client"])
            assert (await made.ended(1))[-1].kind == "run_finished"
            first = model.read_bytes()
            for client, step in (("a", "1.0"), ("bb", "3.0")):
                for site in (SERVER, client):
                    work = made.workspaces[site] / "run_5" / f"mmar_{client}" / "work.py"
                    assert f"STEP = {step}" in work.read_text()

            await typed(at, ["set_run_number 6", "deploy two server", "deploy two client"])
            await typed(at, ["start server", "start client"])
            assert (await made.ended(2))[-1].kind == "run_finished"
            assert {name: made.pid(name) for name in pids} == pids
            assert await server_says(at, "set_run_number 5") == [
                "run number already exists. Set the FL run number to 5."
            ]
        assert model.read_bytes() == first
        assert (made.workspaces[SERVER] / "run_6" / "mmar_a" / "work.py").is_file()


async def test_faq_T8_C11_a_silent_client_is_told_and_a_waiting_one_leaves_cleanly(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made, at_the_console(made) as at:
        assert await server_says(at, "set_timeout 3") == ["admin command timeout has been set to: 3"]
        stopped = psutil.Process(made.pid("a"))
        stopped.send_signal(signal.SIGSTOP)
        try:
            shown = await server_says(at, "check_status client")
            assert shown[0].startswith("instance:a : Error: No replies") and "client name: bb" in shown[2]
            assert (await sure(at, "shutdown client a"))[0].startswith("instance:a : Error: No replies")
        finally:
            stopped.send_signal(signal.SIGCONT)
        await typed(at, ["set_timeout 30"])
        assert await statuses(at) == dict.fromkeys(("a", "bb"), "training not started")

        # C11: it waits for a run; the admin ends it, and it is off the list at once.
        assert (await sure(at, "shutdown client a"))[0] == "instance:a : Shutdown the client..."
        assert await made.wait("a") == 0
        assert "Registered clients: 1" in " ".join(await server_says(at, "check_status server"))


async def test_faq_C3_clients_start_with_the_gpus_that_were_typed(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        toml = '[model]\nfunction = "work:new_model"\n[client]\nscript = "script.py"\n'
        job = write_job(
            made.workspaces[ADMIN] / "transfer" / "study", code=MODEL, toml=toml, num_rounds=1, min_clients=2
        )
        (job / "script.py").write_text(PLAIN)
        async with at_the_console(made) as at:
            await typed(at, ["upload_folder study", "set_run_number 1", "deploy study server", "deploy study client"])
            await typed(at, ["start server", "start_mgpu client 2 a", "start_mgpu client 1 bb"])
            assert (await made.ended(1))[-1].kind == "run_finished"
            shown = await server_says(at, "list_metrics 1")
        rows = [row.strip("| ").split(" | ") for row in shown if "ranks" in row]
        assert {row[1].strip(): row[4].strip() for row in rows} == {"a": "2.0", "bb": "1.0"}
