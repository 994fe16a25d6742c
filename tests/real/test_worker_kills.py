"""kill -9 of workers, at sites and on the server: noticed at once, tried again a bounded number of times, and the same
bits come out; and no worker outlives its parent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil

from rondo.simulator.local import SERVER
from tests.real.gates import gated_job, gates, level, printed
from tests.real.test_nothing_lost import expected, job, result
from tests.real.watching import watched, workers
from tests.real.world import LONG, world, write_job


def worker_of(pid: int) -> psutil.Process:
    """The only worker of this client or server: the one that its keeper watches over."""
    keeper, worker = workers(pid)
    assert worker.ppid() == keeper.pid
    return worker


async def release(fifo: Path) -> None:
    """Let a trainer of ``NUMPY_JOB`` on that waits at ``fifo``, or will in a moment."""
    descriptor = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)  # returns when it waits there
    os.unlink(fifo)
    os.close(descriptor)


async def test_killed_while_it_trains_the_work_is_done_again_to_the_same_bits(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in (0, 1, 2):
        os.mkfifo(data / f"hold-{number}")
    async with world(tmp_path / "w", {"a": data, "bb": None}) as made:
        run = await made.session.submit(job(tmp_path))
        log = made.workspaces["a"] / f"run_{run}" / "a.log"

        # The worker: its client notices at once, starts another one, and the server never hears of it.
        await printed(log, "training round 0 at a")
        worker_of(made.pid("a")).kill()
        await printed(made.folder / "a.out", "the train worker was killed by SIGKILL (out of memory?) (asked to train)")
        await printed(log, "training round 0 at a", count=2)
        await release(data / "hold-0")

        # The worker's keeper: the worker goes with it.
        await printed(log, "training round 1 at a")
        with watched(process.pid for process in workers(made.pid("a"))) as going:
            worker_of(made.pid("a")).parent().kill()
            await going.ended()
        await printed(log, "training round 1 at a", count=2)
        await release(data / "hold-1")

        # The client: its worker goes with it, and the client that is started again is in the current round.
        await printed(log, "training round 2 at a")
        with watched(process.pid for process in workers(made.pid("a"))) as going:
            await made.kill("a")
            await going.ended()
        await made.start("a")
        await printed(log, "training round 2 at a", count=2)
        await release(data / "hold-2")

        events = await made.ended(run)
        assert await result(made, run, events) == expected(tmp_path)
        assert "task_failed" not in {event.kind for event in events}


DEADLY = """
import os, signal
import numpy as np
import rondo


def new_model():
    return {"w": np.zeros(4, np.float32)}


class Clinic:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        print("round", task.round, "at", self.site.name)
        if self.site.name == "a" and task.round == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"w": model["w"] + 1}, 1
"""
FUNCTION = '[model]\nfunction = "work:new_model"\n[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'


async def test_killed_again_and_again_the_client_sits_the_round_out_and_says_why(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with gates(data, ("a", 0)) as (gate,), world(tmp_path / "w", {"a": data, "bb": None}) as made:
        folder = write_job(
            tmp_path / "deadly", code=DEADLY, toml=FUNCTION + "attempts = 2\n", num_rounds=3, min_clients=1,
            wait_after_min_clients=LONG, final_validation=False,
        )  # fmt: skip
        run, events = await made.run(folder)
        assert events[-1].kind == "run_finished"
        (out,) = [event.data for event in events if event.kind == "task_failed"]
        assert (out["client"], out["round"]) == ("a", 1)
        assert "the train worker was killed by SIGKILL" in out["error"] and "(asked to train)" in out["error"]
        assert "round 1 at a" in out["traceback"]  # its last lines
        log = (made.workspaces["a"] / f"run_{run}" / "a.log").read_text()
        assert log.count("round 1 at a") == 3  # once, and tried again twice
        taken = [event.data["contributors"] for event in events if event.kind == "round_committed"]
        assert taken == [["a", "bb"], ["bb"], ["a", "bb"]]

        # A worker that filters is no other: the task is done again with a new one.
        filters = 'filters = [{ name = "exclude_vars", vars = "^nothing$" }]\n'
        run = await made.session.submit(gated_job(tmp_path / "filtered", toml=FUNCTION + filters, num_rounds=1))
        await gate.reached()
        (filtering,) = [one for one in leaves(made.pid("a")) if "work_a" not in one.cwd()]
        filtering.kill()
        gate.open()
        await gate.reached()
        assert "the filter worker was killed by SIGKILL (out of memory?) (asked to filter)" in made.output("a")
        gate.open()
        assert (await made.ended(run))[-1].kind == "run_finished"
        await made.session.model(run, "last", tmp_path / "last.safetensors")
        assert level(tmp_path / "last.safetensors") == 1.0


def leaves(pid: int) -> list[psutil.Process]:
    """The workers of this client, without their keepers."""
    return [process for process in workers(pid) if not process.children()]


# Python runs this when it starts, in every process that has its folder in PYTHONPATH. While the file is there, a
# worker dies at the moment when it has been asked to fold.
MURDEROUS = """
import os, signal, sys


class Killer:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "rondo.aggregate.mean" and os.path.exists({file!r}):
            with open({file!r}, "a") as deaths:
                deaths.write("x")
            os.kill(os.getpid(), signal.SIGKILL)


if "rondo.worker.child" in sys.orig_argv:
    sys.meta_path.insert(0, Killer)
"""


async def test_a_server_worker_that_is_killed_while_it_folds_is_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.mkfifo(data / "hold-1")
    async with world(tmp_path / "w", {"a": data, "bb": None}) as made:
        run = await made.session.submit(job(tmp_path))
        await printed(made.workspaces["a"] / f"run_{run}" / "a.log", "training round 1 at a")
        folding = worker_of(made.pid(SERVER))
        folding.suspend()  # so that it is still folding when it is killed
        await release(data / "hold-1")
        await made.until("round_folding", run, round=1)
        folding.kill()
        events = await made.ended(run)
        assert await result(made, run, events) == expected(tmp_path)
        assert "the fold worker was killed by SIGKILL (out of memory?) (asked to fold)" in made.output(SERVER)


async def test_a_server_worker_that_is_killed_again_and_again_fails_its_run_only(tmp_path: Path) -> None:
    lethal = tmp_path / "lethal"
    lethal.touch()
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(MURDEROUS.format(file=str(lethal)))
    async with world(tmp_path / "w", {"a": None}, absent=["a"]) as made:
        await made.stop(SERVER)
        path = os.pathsep.join([str(tmp_path / "python"), os.environ.get("PYTHONPATH", "")])
        await made.start(SERVER, env={"PYTHONPATH": path})
        await made.log_in()
        await made.start("a")
        await made.logged_in("a")
        before = made.pid("a"), made.pid(SERVER)
        _, events = await made.run(gated_job(tmp_path / "job", num_rounds=1, min_clients=1))
        assert events[-1].kind == "run_failed"
        assert events[-1].data["site"] == "server"
        assert "the fold worker was killed by SIGKILL" in events[-1].data["error"]
        assert len(lethal.read_text()) == 4  # once, and tried again three times
        assert [event.data["client"] for event in events if event.kind == "update_accepted"] == ["a"]

        lethal.unlink()
        _, events = await made.run(gated_job(tmp_path / "next", num_rounds=1, min_clients=1))
        assert events[-1].kind == "run_finished"
        assert (made.pid("a"), made.pid(SERVER)) == before
