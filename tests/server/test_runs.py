"""Runs as the server plays them: what ends one, what does not end the server, and who takes part."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import RunAborted
from rondo.base.spare import SPARE
from rondo.blobs.local import LocalBlobs
from rondo.jobs.job import read_job
from rondo.ledger import rounds, runs
from rondo.pki.kit import Kit
from rondo.rounds import events as e
from rondo.rounds.round import Plan, Round, Waiting
from rondo.rounds.workflow import Step
from rondo.server.crew import Crew
from rondo.server.models import Models
from rondo.server.recoding import Made
from rondo.server.rounds import Conductor, Mailbox, TrainingRound
from rondo.tensors.digest import file_digest
from rondo.tensors.files import write_tensors
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import WorkerSpec, open_worker
from tests.policy.policies import project1
from tests.real.world import NUMPY_JOB, write_job
from tests.server.house import House, house

HANGS = "\n\ndef hang(fifo):\n    open(fifo, 'w').close()\n    while True:\n        pass\n"
HANGING_MODEL = """
[model]
function = "work:hang"
args = {{ fifo = "{fifo}" }}
[client]
trainer = {{ name = "function", class = "work:Clinic" }}
"""


class Broken(LocalBlobs):
    """A store with a defect."""

    def local(self, digest: str) -> Path:
        raise ZeroDivisionError("a defect")


class Defective:
    """A stage that cannot fold, because its code is wrong."""

    async def enough(self) -> None:
        """Nothing to note."""

    async def waits(self, waiting: Waiting) -> None:
        """Nobody looks."""

    async def fold(self) -> e.Event:
        raise KeyError("a defect")

    async def commit(self) -> None:
        """Never asked for."""

    async def failed(self) -> None:
        """Nothing to mark."""


async def test_a_defect_ends_its_run_and_not_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    async with house(folder, blobs=Broken(folder / "blobs")) as made, made.playing():
        for number in (1, 2):
            run = await made.run(write_job(tmp_path / "job"), number=number)
            made.store.bell.ring("runs")
            state, error = await made.until_over(run)
            assert (state, error["error"]) == ("failed", "a defect of the server: ZeroDivisionError('a defect')")
            assert "in local" in error["traceback"]


async def test_a_defect_in_folding_is_not_waited_for() -> None:
    mailbox: Mailbox = asyncio.Queue()
    playing = Conductor(Round(Plan(1, 0.0)), mailbox, Defective()).play([e.UpdateArrived("a")])
    with pytest.raises(KeyError, match="a defect"):
        await asyncio.wait_for(playing, 5)


async def test_an_aborted_run_is_over_in_the_ledger_at_once(tmp_path: Path) -> None:
    """Nobody drives it at this moment (a pause after a fault, a server that is killed now): it stays aborted."""
    async with house(tmp_path / "w") as made:
        run = await made.run(write_job(tmp_path / "job"), state="running")
        assert await made.desk.runs.abort(None) == run
        state, error = await made.state(run)
        assert (state, error["error"]) == ("aborted", "aborted by lead@hub.org")
        with pytest.raises(RunAborted, match=r"aborted by lead@hub\.org"):
            await made.store.read(runs.see_open, run)


async def test_abort_ends_a_first_model_that_is_never_made(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "hangs")
    job = write_job(tmp_path / "job", code=NUMPY_JOB + HANGS, toml=HANGING_MODEL.format(fifo=fifo))
    async with house(tmp_path / "w") as made, made.playing():
        run = await made.run(job)
        made.store.bell.ring("runs")
        await asyncio.to_thread(fifo.read_bytes)
        assert await made.desk.runs.abort(run) == run
        following = await made.run(write_job(tmp_path / "next", num_rounds=0), number=2, num_rounds=0)
        made.store.bell.ring("runs")
        assert await made.until_over(following) == ("finished", {})


async def opened(made: House, run: int, job: Path, step: Step) -> list[e.Event]:
    """The news that a training round begins with."""
    row = await made.store.read(runs.get, run)
    assert row is not None
    async with open_worker(WorkerSpec("fold", log=made.store.folder / "worker.log", tag="server")) as worker:
        stage = TrainingRound(made.store, row, read_job(job), Crew(worker, None), step)
        return (await stage.open())[1]


async def test_whoever_has_left_is_not_waited_for_in_the_next_round(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job")
    async with house(tmp_path / "w") as made:
        run = await made.run(job, state="running")
        row = await made.store.read(runs.get, run)
        assert row is not None
        for name, state in (("a", "here"), ("b", "gone"), ("c", "away")):
            await made.client(name, state)
            await made.store.do(runs.invite, run, name, row, 0.0)
            await made.store.do(runs.set_participant, (run, name), "prepared", 0.0)
        assert await opened(made, run, job, Step("train", 0, 0)) == [e.ClientJoined("a"), e.ClientJoined("c")]


async def test_only_participants_of_an_open_run_count(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        run = await made.run(write_job(tmp_path / "job"), state="running")
        row = await made.store.read(runs.get, run)
        assert row is not None
        await made.store.do(runs.invite, run, "a", row, 0.0)
        await made.store.do(rounds.open_round, (run, 0, "train"), 0, 0.0)

        async def refusal(client: str) -> str:
            return await made.store.read(rounds.refusal, run, 0, "train", client)

        assert await refusal("a") == ""
        assert await refusal("stranger") == f"Contribution refused: stranger takes no part in run {run}"
        await made.desk.runs.abort(run)
        assert await refusal("a") == f"Contribution refused: run {run} is over"


async def test_a_stranger_s_failure_fails_no_run(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        run = await made.run(write_job(tmp_path / "job"), state="running")
        await made.store.do(rounds.open_round, (run, 0, "train"), 0, 0.0)
        session, reports = await made.client("stranger"), made.reports(kit)
        for report in (
            pb.Report(run=run, round=0, task_failed=pb.Failure(error="ha")),
            pb.Report(run=run, round=0, stopped=pb.Stopped(reason="ha")),
        ):
            assert not (await reports.take(session, report)).counted
        assert await made.store.read(rounds.declined, (run, 0, "train")) == {}


@pytest.mark.parametrize(
    ("user", "welcome"), [("admin@admin.com", ["client4", "org1-a"]), ("leadIT@secure.com", ["client4"])]
)
async def test_a_run_for_all_reaches_those_whom_its_submitter_may_deploy_to(
    tmp_path: Path, user: str, welcome: list[str]
) -> None:
    async with house(tmp_path / "w", project1()) as made, made.playing():
        sessions = [await made.client(kit) for kit in ("org1-a", "client4")]
        run = await made.run(write_job(tmp_path / "job"), invites="all", by=user)
        made.store.bell.ring("runs")
        async with asyncio.timeout(20):
            ticket = made.store.bell.ticket("events")
            while not (parts := await made.store.read(runs.taking_part, run)):
                await made.store.bell.wait("events", ticket)
                ticket = made.store.bell.ticket("events")
        assert [part.client for part in parts] == welcome
        for session in sessions:
            await made.live.newcomer(session)
        assert [part.client for part in await made.store.read(runs.taking_part, run)] == welcome


async def test_updates_are_kept_for_as_many_rounds_as_the_job_says(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", num_rounds=4, min_clients=1, keep_updates=1, final_validation=False)
    async with house(tmp_path / "w") as made:
        run = await made.run(job, state="running", num_rounds=4, min_clients=1)
        row = await made.store.read(runs.get, run)
        assert row is not None
        await made.client("a")
        await made.store.do(runs.invite, run, "a", row, 0.0)
        first = write_tensors(made.store.spool / ".first", {"w": np.zeros(3, np.float32)})
        await Models(made.store, row, read_job(job)).begin(Made(first, first, {}), "test")
        async with open_worker(WorkerSpec("fold", log=tmp_path / "worker.log", tag="server")) as worker:
            await worker.ask({"do": "open", "kind": "fold"})
            for number in range(3):
                stage = TrainingRound(made.store, row, read_job(job), Crew(worker, None), Step("train", number, number))
                await stage.open()
                file = write_tensors(tmp_path / "update", {"w": np.full(3, number, np.float32)})
                spooled = made.store.upload("a", file.digest)
                spooled.parent.mkdir(exist_ok=True)
                file.path.replace(spooled)
                update = rounds.Contribution(
                    run, number, "train", "a", file.digest, file.size, "diff", 1.0, 0.0, {}, {}, [], 0.0, 0.0
                )
                assert await made.store.do(rounds.accept, update) == ""
                assert await stage.fold() == e.Folded()
                await stage.commit()
                assert [path for path in spooled.parent.iterdir() if path.name != SPARE] == []
                (kept,) = (made.store.run_folder(1) / "updates").rglob("*.safetensors")
                assert (kept.parent.name, kept.name) == (f"round_{number}", "a.safetensors")
                assert file_digest(kept).digest == file.digest
