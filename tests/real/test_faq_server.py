"""The answers of Clara's FAQ about the server (S1 to S3), as tests with real processes and TLS."""

from __future__ import annotations

from pathlib import Path

import psutil

from rondo.simulator.local import SERVER
from tests.ports import free_port
from tests.real.gates import gated_job, gates, listening, printed, processes
from tests.real.world import world


async def test_faq_S1_retry_timeout_ends_a_client_in_a_model_exchange_not_one_that_trains(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 0), ("bb", 0)) as at,
        world(tmp_path / "w", clients, project={"rondo": {"retry_timeout": 1}}) as made,
    ):
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=2))
        for gate in at:
            await gate.reached()
        before = [made.pid(client) for client in clients]

        # (b) Killed while clients train and back before they submit: longer away than retry_timeout, nobody minds.
        await made.kill(SERVER)
        for client in clients:
            await printed(made.folder / f"{client}.out", "trying again", count=5)  # 0.1 + 0.2 + 0.5 + 1 s and more
        await made.start(SERVER)
        await made.log_in()
        for gate in at:
            gate.open()
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        assert [event.data["text"] for event in events if event.kind == "recovered"] == [
            f"the server is back; run {run} goes on in round 0"
        ]
        assert before == [made.pid(client) for client in clients]
        assert sum(event.kind == "update_accepted" and event.data["task"] == "train" for event in events) == 4

        # (a) Killed while clients wait for a model: they keep trying for retry_timeout, then end by themselves.
        await made.kill(SERVER)
        for client in clients:
            assert await made.wait(client) == 10
            assert "Error: " in made.output(client) and "gave up after " in made.output(client)


async def test_faq_S1_ours_wait_as_long_as_it_takes_and_the_operator_chooses_what_goes_on(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 1)) as (gate,),
        world(tmp_path / "w", clients) as made,
    ):
        before = [made.pid(client) for client in clients]
        await made.kill(SERVER)
        for client in clients:
            await printed(made.folder / f"{client}.out", "trying again", count=4)
        await made.start(SERVER)
        await made.log_in()
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=3))
        await gate.reached()

        # From scratch instead of going on: the run is abandoned, its round is in the log, clients drop their work.
        await made.kill(SERVER)
        await made.start(SERVER, "--fresh")
        await made.log_in()
        events = await made.ended(run)
        assert events[-1].kind == "run_aborted"
        assert events[-1].data == {"error": "abandoned: the server was started with --fresh"}
        assert f"Run {run} (round 1) is abandoned" in made.output(SERVER)
        (line,) = (await made.session.facts("list_runs"))["runs"]
        assert line["state"] == "aborted" and "--fresh" in line["error"]["error"]
        await made.until("client_stopped", client="a")
        assert len(processes(made.pid("a"))) == 1

        run, events = await made.run(gated_job(tmp_path / "again", num_rounds=1))
        assert events[-1].kind == "run_finished"
        assert before == [made.pid(client) for client in clients]


def loaded(pid: int, word: str) -> list[str]:
    """Files with ``word`` in their path that the process or a descendant has mapped."""
    return [
        entry.path for process in processes(pid) for entry in process.memory_maps(grouped=True) if word in entry.path
    ]


async def test_faq_S2_S3_the_server_needs_no_gpu_and_listens_where_the_kit_says(tmp_path: Path) -> None:
    admin_port = free_port()
    async with (
        gates(tmp_path / "data", ("a", 0)) as (gate,),
        world(tmp_path / "w", {"a": tmp_path / "data"}, server={"admin_port": admin_port}) as made,
    ):
        # The session of this test came in at the admin port, the client at the other one.
        assert (made.admin_kit.port, made.admin_kit.admin_port) == (made.layout.port, admin_port)
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=2, min_clients=1))
        await gate.reached()
        assert listening(made.pid(SERVER)) == {made.layout.port, admin_port}
        used = {
            link.laddr.port: link.raddr.port
            for link in psutil.Process(made.pid(SERVER)).net_connections("inet")
            if link.status == psutil.CONN_ESTABLISHED
        }
        assert set(used) == {made.layout.port, admin_port}

        # Neither the server nor its worker has torch in it, though it is installed here; and no GPU is to be seen.
        assert len(processes(made.pid(SERVER))) == 3
        assert loaded(made.pid(SERVER), "numpy") and not loaded(made.pid(SERVER), "torch")
        gate.open()
        assert (await made.ended(run))[-1].kind == "run_finished"
