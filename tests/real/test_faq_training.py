"""The answers of Clara's FAQ about the training flow (T2, T6, T7, T9, T10), with real processes and TLS."""

from __future__ import annotations

from pathlib import Path

from rondo.simulator.local import SERVER
from tests.real.gates import command, console_run, gated_job, gates, level, processes, status, texts
from tests.real.world import World, world


async def last_level(made: World, run: int, folder: Path) -> float:
    await made.session.model(run, "last", folder / f"last-{run}.safetensors")
    return level(folder / f"last-{run}.safetensors")


def snapshot(*folders: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file in ``folders``: when it was changed, and what it holds."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


async def test_faq_T2_rounds_go_from_start_round_to_the_one_before_num_rounds(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        some = gated_job(tmp_path / "some", min_clients=1, start_round=2, num_rounds=4)
        run, events = await made.run(some)
        opened = [(event.data["task"], event.data["round"]) for event in events if event.kind == "round_opened"]
        assert opened == [("train", 2), ("train", 3), ("validate", 4)]
        assert events[-1].kind == "run_finished"
        assert await last_level(made, run, tmp_path) == 2.0
        assert texts(await command(made.session, "check_status server"))[1] == "FL server status: training stopped"
        assert await status(made, "a") == "training stopped"

        none = gated_job(tmp_path / "none", min_clients=1, start_round=4, num_rounds=4)
        run, events = await made.run(none)
        assert [event.kind for event in events if event.run] == ["run_submitted", "nothing_to_do", "run_finished"]
        assert events[1].data["text"] == "nothing to do: start_round 4, num_rounds 4 (an absolute end)"
        found = texts(await command(made.session, "check_status server"))
        assert found[1] == "FL server status: training stopped"


async def test_faq_T5_each_client_runs_the_job_that_was_deployed_to_it(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        jobs = {"a": gated_job(tmp_path / "small", num_rounds=1), "bb": gated_job(tmp_path / "big", step=10.0)}
        for line in (
            *(f"upload_folder {job}" for job in jobs.values()),
            "set_run_number 3",
            "deploy small server",
            "deploy small client a",
            "deploy big client bb",
        ):
            assert not (await command(made.session, line))["problems"]
        run = int((await command(made.session, "start server"))["run"])
        await command(made.session, "start client")
        assert (await made.ended(run))[-1].kind == "run_finished"
        assert await last_level(made, run, tmp_path) == 5.5  # the mean of what each one's own code added

        # The server keeps a copy of what each was given, which is what the client has.
        at_server = made.workspaces[SERVER] / "run_3"
        assert sorted(path.name for path in at_server.glob("mmar_*")) == ["mmar_a", "mmar_bb", "mmar_server"]
        for client, job in jobs.items():
            code = (job / "work.py").read_text()
            folders = (at_server, made.workspaces[client] / "run_3")
            assert [(folder / f"mmar_{client}" / "work.py").read_text() for folder in folders] == [code] * 2


async def test_faq_T6_a_run_number_may_be_used_again(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        first = await console_run(made, gated_job(tmp_path / "job", min_clients=1, num_rounds=2), 5, "a")
        await made.ended(first)
        at_server, at_client = (made.workspaces[name] / "run_5" for name in (SERVER, "a"))
        (at_server / "notes.txt").write_text("of the first run")
        old_log = (at_client / "a.log").read_text()
        old_metrics = (at_server / "metrics.jsonl").read_text()
        assert old_log.count("round 1 at a") == 1 and old_metrics.count('"client":"a"') == 3

        answer = await command(made.session, "set_run_number 5")
        assert texts(answer) == ["run number already exists. Set the FL run number to 5."]
        assert (await made.session.facts("check_status", "server"))["run_number"] == 5
        second = await console_run(made, gated_job(tmp_path / "job", min_clients=1, num_rounds=2), 5, "a")
        assert (await made.ended(second))[-1].kind == "run_finished"
        assert second != first and await last_level(made, second, tmp_path) == 2.0

        # What was there is there; what is new is beside it.
        assert (at_server / "notes.txt").read_text() == "of the first run"
        new_log = (at_client / "a.log").read_text()
        assert new_log.startswith(old_log) and new_log.count("round 1 at a") == 2
        new_metrics = (at_server / "metrics.jsonl").read_text()
        assert new_metrics.startswith(old_metrics) and new_metrics.count('"client":"a"') == 6


async def test_faq_T7_abort_stops_the_client_named_and_nobody_else(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb", "ccc"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", *((client, 0) for client in clients)) as at,
        world(tmp_path / "w", clients) as made,
    ):
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=2, wait_after_min_clients=600))
        for gate in at:
            await gate.reached()
        assert [len(processes(made.pid(client))) for client in clients] == [3, 3, 3]

        answer = await command(made.session, "abort client bb")
        assert answer["texts"] == [{"site": "bb", "text": "Aborting the client..."}] and not answer["problems"]
        stopped = await made.until("client_stopped", run, client="bb")
        # The client says so once no process of its trainer is left, though that would have waited for ever.
        assert [len(processes(made.pid(client))) for client in clients] == [3, 1, 3]
        assert [await status(made, client) for client in clients] == [
            "training started",
            "training stopped",
            "training started",
        ]
        again = await command(made.session, "abort client bb")
        assert [problem["error"] for problem in again["problems"]] == ["Client training has already stopped."]

        for gate in at:
            gate.open()
        events = await made.ended(run)
        assert events[-1].kind == "run_finished" and events[-1].number > stopped.number
        assert {event.data["client"] for event in events if event.kind == "update_accepted"} == {"a", "ccc"}

        # Without a name it is for all of them.
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=2))
        for client in clients:
            await made.until("client_prepared", run, client=client)
        answer = await command(made.session, "abort client")
        assert [text["site"] for text in answer["texts"]] == list(clients)


async def test_faq_T9_a_second_model_trains_in_the_same_processes_and_leaves_the_first_alone(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        first = await console_run(made, gated_job(tmp_path / "one", num_rounds=2), 1, "a", "bb")
        assert (await made.ended(first))[-1].kind == "run_finished"
        folders = [made.workspaces[name] / "run_1" for name in (SERVER, "a", "bb")]
        for name in ("a", "bb"):
            await made.until("client_stopped", client=name)
        before, pids = snapshot(*folders), [made.pid(name) for name in (SERVER, "a", "bb")]
        assert {path.name for path in before} >= {"FL_global_model.safetensors", "metrics.jsonl", "a.log", "bb.log"}

        second = await console_run(made, gated_job(tmp_path / "two", step=10.0, num_rounds=2), 2, "a", "bb")
        assert (await made.ended(second))[-1].kind == "run_finished"
        assert await last_level(made, second, tmp_path) == 20.0
        assert snapshot(*folders) == before
        assert await last_level(made, first, tmp_path) == 2.0
        for name in (SERVER, "a", "bb"):
            assert (made.workspaces[name] / "run_2").is_dir()
        assert [made.pid(name) for name in (SERVER, "a", "bb")] == pids
        assert [await status(made, name) for name in ("a", "bb")] == ["training stopped", "training stopped"]


async def test_faq_T10_changed_code_under_an_unchanged_name_is_the_code_that_runs(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        levels = []
        for number, step in ((1, 1.0), (1, 5.0), (2, 7.0)):  # in the same run folder, and in another one
            job = gated_job(tmp_path / "job", step=step, min_clients=1, num_rounds=1)
            run = await console_run(made, job, number, "a")
            assert (await made.ended(run))[-1].kind == "run_finished"
            levels.append(await last_level(made, run, tmp_path))
        assert levels == [1.0, 5.0, 7.0]
