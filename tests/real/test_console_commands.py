"""The commands people type: the console flow of Clara, jobs that are watched, models that are fetched, and the scripts
of a kit. Everything runs as its own process, as it does for them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from rondo.base.errors import RondoError
from rondo.simulator.local import ADMIN, SERVER, Layout
from tests.ports import free_port
from tests.real.gates import GATED, command, gated_job, gates, level, printed, processes, texts
from tests.real.world import LONG, World, world, write_job


@dataclass(frozen=True)
class Done:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


async def done(*args: str, env: Mapping[str, str] | None = None) -> Done:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *args,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(LONG):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"{args} does not end") from None
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def rondo(*args: str) -> Done:
    return await done(sys.executable, "-m", "rondo", *args)


async def problem(made: World, line: str) -> tuple[str, int]:
    """How the server refuses this command: the words, and the exit code that they mean."""
    try:
        answer = await command(made.session, line)
    except RondoError as error:
        return error.what, error.exit_code
    raise AssertionError(f"{line} was done: {answer}")


async def refusal(made: World, line: str, client: str) -> str:
    """How one client, or the server on its behalf, refuses this command."""
    (found,) = (await command(made.session, line))["problems"]
    assert found["site"] == client
    return str(found["error"])


async def test_the_console_flow_of_clara(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 0), ("bb", 0)) as at,
        world(tmp_path / "w", clients) as made,
    ):

        async def say(line: str, site: str = "") -> list[str]:
            code, answer = await made.admin(line)
            assert code == 0 and not answer["problems"], answer
            return texts(answer, site)

        assert await say("check_status server") == [
            "FL run number has not been set.",
            "FL server status: training not started",
            "Registered clients: 2 ",
        ]
        gated_job(made.workspaces[ADMIN] / "transfer" / "study", num_rounds=2, wait_after_min_clients=600)
        created = made.workspaces[SERVER] / "transfer" / "study"
        assert await say("upload_folder study") == [f"Created folder {created}"]
        assert await say("set_run_number 1") == ["Create a new run folder: run_1"]
        assert await say("deploy study server") == ["mmar_server has been deployed."]
        assert await say("deploy study client", "bb") == ["MMAR deployed."]
        assert await say("start server") == ["Server training is starting...."]
        assert await say("start client", "a") == ["Starting the client..."]
        for gate in at:
            await gate.reached()
        found = await say("check_status server")
        assert found[:6] == [
            "FL run number:1",
            "FL server status: training started",
            "run number:1\tstart round:0\tmax round:2\tcurrent round:0",
            "min_num_clients:2\tmax_num_clients:100",
            "Registered clients: 2 ",
            "Total number of clients submitted models for current round: 0",
        ]
        assert found[6].startswith("waiting for: a, bb (2 more needed), since ")

        # For people: Clara's line for each client, and how long the command took.
        shown = await rondo("admin", str(made.workspaces[ADMIN]), "-c", "check_status client bb")
        (line, _, last) = shown.out.splitlines()
        token = made.output(SERVER).split("New client bb@")[1].split("Session: ")[1][:8]
        head = f"instance:bb : client name: bb\ttoken: {token}\tstatus: training started"
        assert line.startswith(head) and last.startswith("Done [") and " usecs] " in last

        at[1].open()
        await made.until("update_accepted", client="bb", round=0)
        found = texts(await command(made.session, "check_status server"))
        assert "Total number of clients submitted models for current round: 1" in found
        assert any(text.startswith("waiting for: a (1 more needed), since ") for text in found)

        assert await say("abort client a", "a") == ["Aborting the client..."]
        await made.until("client_stopped", client="a")
        assert texts(await command(made.session, "abort server")) == ["Aborting the server..."]
        assert (await made.ended(1))[-1].kind == "run_aborted"
        assert await say("shutdown client", "bb") == ["Shutdown the client..."]
        assert [await made.wait(client) for client in clients] == [0, 0]
        assert await say("shutdown server") == ["Shutdown the server..."]
        assert await made.wait(SERVER) == 0
        assert (await rondo("admin", str(made.workspaces[ADMIN]), "-c", "check_status server")).code == 7


async def test_what_the_console_says_to_what_cannot_be_done(tmp_path: Path) -> None:
    async with (
        gates(tmp_path / "data", ("a", 0)) as (gate,),
        world(tmp_path / "w", {"a": tmp_path / "data"}) as made,
    ):
        job = gated_job(tmp_path / "study", min_clients=1, num_rounds=1)
        assert await problem(made, "chek_status server") == ("Undefined server command chek_status", 5)
        assert await problem(made, "check_status") == ("missing target type (server or client)", 3)
        assert await problem(made, "check_status all_of_them") == ("unknown target type all_of_them", 3)
        assert await problem(made, "check_status client zz") == ("invalid client(s): zz", 5)
        assert await problem(made, "upload_folder nowhere") == ('"nowhere" is not a valid folder', 3)
        assert await problem(made, "deploy study server") == ("no such folder: study", 5)
        await command(made.session, f"upload_folder {job}")
        assert await problem(made, "deploy study server") == ("Please set a run number.", 6)
        assert await problem(made, "start server") == ("Please set a run number.", 6)
        assert await problem(made, "set_run_number") == ("syntax error: missing run number", 3)
        assert await problem(made, "set_run_number one") == ("run number must be an integer.", 3)
        assert await problem(made, "set_run_number 0") == ("run number must be > 0.", 3)
        await command(made.session, "set_run_number 1")
        missing = "MMAR does not exist. Please deploy it before start server."
        assert await problem(made, "start server") == (f"The server's {missing}", 6)
        assert (await refusal(made, "start client", "a")).startswith("Server training has not started.")
        await command(made.session, "deploy study server")
        await command(made.session, "start server")
        assert (
            await refusal(made, "start client", "a") == "mmar_a does not exist. Please deploy it before start client."
        )
        await command(made.session, "deploy study client")
        await command(made.session, "start client a")
        await gate.reached()

        assert await refusal(made, "start client a", "a") == "Client already in training."
        assert await problem(made, "start server") == ("Server training has already been started: run 1.", 6)
        fixed = "run_number can not be changed during the FL app running."
        assert await problem(made, "set_run_number 2") == (fixed, 6)
        active = "There are still active clients. Shutdown all clients first."
        assert await problem(made, "shutdown server") == (active, 6)
        gate.open()
        assert (await made.ended(1))[-1].kind == "run_finished"
        assert await problem(made, "abort server") == ("Server training has already stopped.", 6)
        assert await refusal(made, "abort client", "a") == "Client training has already stopped."
        await command(made.session, "shutdown client")
        assert await made.wait("a") == 0
        assert await problem(made, "shutdown client") == ("no clients available", 5)


FAILS_AT_BB = GATED.replace(
    '        return rondo.Update({"w"',
    """        if self.site.name == "bb" and task.round == 1:
            raise ValueError("patient 17 has no age")
        return rondo.Update({"w\"""",
)


async def test_a_watched_job_says_by_its_exit_code_how_it_went(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 7)) as (gate,),
        world(tmp_path / "w", clients) as made,
    ):
        kit = str(made.workspaces[ADMIN])

        async def submit(folder: Path, *more: str) -> Done:
            return await rondo("job", "submit", str(folder), "--kit", kit, "--watch", *more)

        good = await submit(gated_job(tmp_path / "good", num_rounds=2, best_metric="level"))
        assert good.code == 0 and "the run is finished" in good.out, good
        nothing = await submit(gated_job(tmp_path / "nothing", num_rounds=2, start_round=2))
        assert nothing.code == 0 and "nothing to do: start_round 2, num_rounds 2" in nothing.out

        # The traceback of the first site that failed, from the user's first line on; the sentence comes last.
        bad = await submit(write_job(tmp_path / "bad", code=FAILS_AT_BB, num_rounds=3))
        assert bad.code == 8
        *traceback, last = bad.err.splitlines()
        assert "Traceback (most recent call last):" in traceback[0]
        assert 'raise ValueError("patient 17 has no age")' in bad.err and "/rondo/" not in "".join(traceback)
        line = 1 + FAILS_AT_BB[: FAILS_AT_BB.index("raise ValueError")].count("\n")
        assert last.startswith(f"Error: work.py:{line}: bb: ValueError: patient 17 has no age")

        held = asyncio.create_task(
            submit(gated_job(tmp_path / "held", num_rounds=9, start_round=7), "--format", "json")
        )
        await gate.reached()
        assert (await rondo("job", "abort", "4", "--kit", kit)).code == 0
        aborted = await held
        assert aborted.code == 9 and f"aborted by {ADMIN}" in aborted.err
        kinds = [json.loads(line)["kind"] for line in aborted.out.splitlines()]
        assert kinds[0] == "run_submitted" and kinds[-1] == "run_aborted"

        # What is wrong with the job itself is said before anything is sent.
        broken = await submit(write_job(tmp_path / "broken", code="def new_model(:\n", num_rounds=1))
        assert broken.code == 3 and "work.py:1:15" in broken.err
        assert len((await made.session.facts("list_runs"))["runs"]) == 4


async def test_models_are_fetched_as_files_of_both_kinds(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    async with world(tmp_path / "w", {"a": None}) as made:
        run, _ = await made.run(gated_job(tmp_path / "job", min_clients=1, num_rounds=2, best_metric="level"))
        kit = str(made.workspaces[ADMIN])

        async def get(file: str, *which: str) -> Done:
            return await rondo("model", "get", str(run), *which, "-o", str(folder / file), "--kit", kit)

        best = await get("best.safetensors", "--best")
        assert best.code == 0, best.err
        assert level(folder / "best.safetensors") == 2.0
        entry = json.loads((folder / "best.safetensors.json").read_text())
        assert (entry["version"], entry["metrics"]) == (2, {"level": 2.0})
        assert [one["client"] for one in entry["provenance"]["contributors"]] == ["a"]

        point = await get("best.pt", "--best")
        assert point.code == 0, point.err
        # Version 1 is neither the best nor the last.
        gone = await get("one.safetensors", "--version", "1")
        assert gone.code == 5 and "kept: 2" in gone.err

    import torch

    loaded = torch.load(folder / "best.pt", weights_only=True)
    assert list(loaded) == ["model"] and torch.equal(loaded["model"]["w"], torch.full((4,), 2.0))
    names = {f"best.{kind}" for kind in ("pt", "safetensors")}
    assert {path.name for path in folder.iterdir()} == names | {f"{name}.json" for name in names}


async def test_the_scripts_of_a_kit(tmp_path: Path) -> None:
    program = {"RONDO": str(Path(sys.executable).parent / "rondo"), "RONDO_STOP_GRACE": "30"}
    made = World(tmp_path / "my sites", Layout({"a": None}, port=free_port()))

    async def script(name: str, file: str) -> Done:
        return await done(str(made.workspaces[name] / "startup" / file), env=program)

    def pid(name: str, file: str = "pid.fl") -> int:
        return int((made.workspaces[name] / file).read_text())

    try:
        for name in (SERVER, "a"):
            started = await script(name, "start.sh")
            assert started.code == 0, started
        await made.log_in()
        await made.logged_in("a")
        twice = await script("a", "start.sh")
        assert twice.code == 1 and "There seems to be one instance" in twice.err
        _, events = await made.run(gated_job(tmp_path / "job", min_clients=1, num_rounds=1))
        assert events[-1].kind == "run_finished"
        environ = psutil.Process(pid(SERVER)).environ()
        assert (
            environ["CUDA_VISIBLE_DEVICES"] == ""
            and "/local/custom" in psutil.Process(pid("a")).environ()["PYTHONPATH"]
        )

        # A killed client is started again at once, and is the same one.
        killed = psutil.Process(pid("a"))
        killed.kill()
        await made.until("client_back", client="a")
        assert pid("a") != killed.pid and (await made.session.facts("check_status", "server"))["clients"] == ["a"]

        # The script stops the process and its supervisor; the client says goodbye.
        last, family = await made.last_event(), processes(pid("a", "daemon_pid.fl"))
        stopped = await script("a", "stop_fl.sh")
        assert stopped.code == 0 and "client a has ended" in stopped.out
        assert not any(process.is_running() for process in family)
        assert (await made.until("client_gone", after=last, client="a")).data["reason"] == "quit"

        # So does the admin's shutdown: it is no crash, and nothing is started again.
        assert (await script("a", "start.sh")).code == 0
        await made.until("client_joined", after=last, client="a")
        await command(made.session, "shutdown client a")
        await printed(made.workspaces["a"] / "log.txt", "supervisor - the client ended by itself")
        assert not (made.workspaces["a"] / "daemon_pid.fl").exists()
        assert (await script("a", "stop_fl.sh")).err == "client a is not running\n"

        family = processes(pid(SERVER, "daemon_pid.fl"))
        assert (await script(SERVER, "stop_fl.sh")).out == "server localhost has ended\n"
        assert not any(process.is_running() for process in family)
        assert "Server stopped" in (made.workspaces[SERVER] / "log.txt").read_text()
    finally:
        await made.sessions.aclose()
        for name in ("a", SERVER):
            await script(name, "stop_fl.sh")
