"""What an admin does to clients, server and run folders: removed, started again, deleted. With real processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from rondo.base.errors import Conflict, NotFound
from rondo.simulator.local import SERVER, Layout
from tests.ports import free_port
from tests.real.gates import command, console_run, gated_job, gates, printed, texts
from tests.real.test_console_commands import done
from tests.real.world import World, world


async def session_of(made: World, client: str) -> str:
    """The beginning of the client's token."""
    (line,) = (await made.session.facts("check_status", "client", client))["clients"]
    return str(line["session"])


async def test_a_run_number_is_deleted_at_server_and_clients_and_begins_anew(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 1)) as (gate,),
        world(tmp_path / "w", clients) as made,
    ):
        names = (SERVER, *clients)
        folders = [made.workspaces[name] / "run_4" for name in names]
        run = await console_run(made, gated_job(tmp_path / "job", num_rounds=2), 4, "a", "bb")
        await gate.reached()
        with pytest.raises(Conflict, match=r"Current running run_number can not be deleted\."):
            await command(made.session, "delete_run_number 4")
        gate.open()
        await made.ended(run)
        assert all(folder.is_dir() for folder in folders)
        (model,) = [m for m in (await made.session.facts("list_models", str(run)))["models"] if m["kept"]]
        blob = next((made.workspaces[SERVER] / "blobs").rglob(model["digest"].removeprefix("blake3:")))

        answer = await command(made.session, "delete_run_number 4")
        assert not answer["problems"]
        assert [texts(answer, site) for site in ("", *clients)] == [["run_4 has been deleted."]] * 3
        assert not any(folder.exists() for folder in folders) and not blob.exists()

        # What happened stays told; the model is gone, and whoever asks for it is told so.
        (line,) = (await made.session.facts("list_runs"))["runs"]
        assert (line["id"], line["number"], line["state"]) == (run, -4, "finished")
        with pytest.raises(NotFound, match="is not kept"):
            await made.session.model(run, "last", tmp_path / "model")
        assert texts(await command(made.session, "check_status server"))[0] == "FL run number has not been set."
        assert texts(await command(made.session, "set_run_number 4")) == ["Create a new run folder: run_4"]
        with pytest.raises(Conflict, match="Please deploy it before start server"):
            await command(made.session, "start server")

        # The number is as good as new: nothing of the first run is in the second's folder.
        second = await console_run(made, gated_job(tmp_path / "job", num_rounds=1), 4, "a", "bb")
        assert (await made.ended(second))[-1].kind == "run_finished"
        assert (folders[0] / "metrics.jsonl").read_text().count('"client":"a"') == 2
        assert (folders[1] / "a.log").read_text().count("round 0 at a") == 1
        assert texts(await command(made.session, "delete_run_number 9"), "a") == ["There is no run_9."]


async def test_a_removed_client_is_off_the_list_and_logs_in_again_while_it_lives(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        # One that is gone for good, and would be on the list for ten minutes more.
        await made.kill("bb")
        answer = await command(made.session, "remove_client bb")
        assert texts(answer, "bb") == ["Remove the client..."]
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a"]
        gone = await made.until("client_gone", client="bb")
        assert gone.data["reason"] == "removed"

        # One that lives: it is told at once, and comes back under its name.
        pid = made.pid("a")
        await command(made.session, "remove_client a")
        await made.until("client_back", after=gone.number, client="a")
        assert made.pid("a") == pid and "logging in again" in made.output("a")
        _, events = await made.run(gated_job(tmp_path / "job", num_rounds=1, min_clients=1))
        assert events[-1].kind == "run_finished"
        with pytest.raises(NotFound, match=r"invalid client\(s\): bb"):
            await command(made.session, "remove_client a bb")
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a"]


async def test_faq_T8_a_silent_client_costs_the_timeout_and_a_command_is_never_carried_out_late(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        await command(made.session, f"upload_folder {gated_job(tmp_path / 'job')}")
        await command(made.session, "set_run_number 1")
        assert texts(await command(made.session, "set_timeout 5")) == ["admin command timeout has been set to: 5"]
        stopped = psutil.Process(made.pid("a"))
        stopped.send_signal(signal.SIGSTOP)
        try:
            lines = ("check_status client", "deploy job client", "shutdown client a")
            answers = await asyncio.gather(*(command(made.session, line) for line in lines))
            for line, answer in zip(lines, answers, strict=True):
                (problem,) = answer["problems"]
                assert (problem["site"], problem["error"]) == ("a", "No replies (the command was withdrawn)"), line
                assert line.endswith("a") or texts(answer, "bb")  # for that client alone
        finally:
            stopped.send_signal(signal.SIGCONT)

        # It is back, is still here, and does nothing of what was asked meanwhile.
        await command(made.session, "set_timeout 30")
        assert texts(await command(made.session, "check_status client a"), "a")
        assert not (made.workspaces["a"] / "run_1").exists() and (made.workspaces["bb"] / "run_1").exists()
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a", "bb"]

        # What was chosen outlives the server.
        await made.stop(SERVER)
        await made.start(SERVER)
        await made.log_in()
        assert texts(await command(made.session, "deploy job client a"), "a") == ["MMAR deployed."]


async def test_restarted_clients_come_back_with_new_tokens_and_the_server_goes_on(tmp_path: Path) -> None:
    program = {"RONDO": str(Path(sys.executable).parent / "rondo"), "RONDO_STOP_GRACE": "30"}
    made = World(tmp_path / "sites", Layout({"a": None}, port=free_port()))

    async def script(name: str, file: str) -> None:
        assert (await done(str(made.workspaces[name] / "startup" / file), env=program)).code == 0

    def pid(name: str) -> int:
        return int((made.workspaces[name] / "pid.fl").read_text())

    try:
        for name in (SERVER, "a"):
            await script(name, "start.sh")
        await made.log_in()
        await made.logged_in("a")
        tokens, pids = [await session_of(made, "a")], [pid("a"), pid(SERVER)]

        assert texts(await command(made.session, "restart client a"), "a") == ["Restart the client..."]
        await made.until("client_joined", client="a", count=2)
        tokens.append(await session_of(made, "a"))
        await printed(made.workspaces["a"] / "log.txt", "supervisor - restarted as asked")
        assert pid("a") != pids[0]

        answer = await command(made.session, "restart server")
        assert texts(answer) == ["Restart the server..."] and texts(answer, "a") == ["Restart the client..."]
        await printed(made.workspaces[SERVER] / "log.txt", "supervisor - restarted as asked")
        await made.log_in()
        await made.until("client_joined", client="a", count=3)
        tokens.append(await session_of(made, "a"))
        assert len(set(tokens)) == 3 and pid(SERVER) != pids[1]
        _, events = await made.run(gated_job(tmp_path / "job", min_clients=1, num_rounds=1))
        assert events[-1].kind == "run_finished"
    finally:
        await made.sessions.aclose()
        for name in ("a", SERVER):
            await script(name, "stop_fl.sh")
