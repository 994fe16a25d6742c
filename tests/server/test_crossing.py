"""A round that was left because nobody trains in it any more, found again by a server that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.jobs.job import read_job
from rondo.ledger import rounds, runs
from rondo.rounds import events as e
from rondo.rounds.round import State
from rondo.rounds.workflow import Step
from rondo.server.crew import Crew
from rondo.server.rounds import TrainingRound
from rondo.worker.host import WorkerSpec, open_worker
from tests.real.world import write_job
from tests.server.house import house


@pytest.mark.parametrize("state", ["validating", "stopped"])
async def test_a_round_that_was_left_stays_left(state: str, tmp_path: Path) -> None:
    """Also where those who were left for cross-site validation have been stopped meanwhile."""
    job = write_job(tmp_path / "job", num_rounds=2)
    async with (
        house(tmp_path / "w") as made,
        open_worker(WorkerSpec("fold", log=tmp_path / "log", tag="server")) as worker,
    ):
        run = await made.run(job, state="validating")
        row = await made.store.read(runs.get, run)
        assert row is not None
        await made.client("a")
        await made.store.do(runs.invite, run, "a", row, 1.0)
        await made.store.do(runs.set_participant, (run, "a"), state, 2.0)
        await made.store.do(rounds.open_round, (run, 1, "train"), 1, 3.0)
        await made.store.do(rounds.end_round, (run, 1, "train"), "failed", 4.0)
        stage = TrainingRound(made.store, row, read_job(job), Crew(worker, None), Step("train", 1, 1))
        round_, news = await stage.open()
        commands = [command for event in news for command in round_.handle(event)]
        assert (commands, round_.state) == ([e.Leave()], State.LEFT)
