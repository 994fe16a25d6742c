"""Several processes that train as one, with real torchrun and real gloo: what they answer, and what befalls them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from rondo.worker.host import TaskFailed, Worker, open_worker
from tests.real.gates import command
from tests.real.world import world, write_job
from tests.worker.jobs import Bench, training

TOGETHER = """
import os
import numpy as np
import torch
import torch.distributed as dist
import rondo

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
for task in rondo.join():
    share = torch.tensor([float(rank + 1)])
    dist.all_reduce(share)
    print(f"rank {rank} of {world} in round {task.round}", flush=True)
    if task.round == 1 and rank == 1:
        raise ValueError("rank 1 cannot")
    if task.round == 2 and rank == 1:
        os.kill(os.getpid(), 9)
    dist.barrier()
    weights = {name: value + share.item() for name, value in task.model.items()}
    task.submit(weights, samples=world, metrics={"rank": rank})
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def family(worker: Worker) -> list[psutil.Process]:
    return psutil.Process(worker.pid).children(recursive=True)


async def test_a_script_trains_in_two_processes(bench: Bench) -> None:
    """All ranks are at it, rank 0 answers; one that raises or dies fails the task, and the next task runs."""
    bench.write("script.py", TOGETHER)
    async with open_worker(bench.spec()) as worker:
        assert await worker.ask(bench.open("script", script="script.py") | {"ranks": 2}) == {"say": "ready"}
        answer = await worker.ask(bench.train(0))
        assert (answer["samples"], answer["metrics"]) == (2.0, {"rank": 0.0})
        assert bench.result()["b"] == 0.5 + 1 + 2  # of both ranks

        with pytest.raises(TaskFailed, match="rank 1 of 2: ValueError: rank 1 cannot") as raised:
            await worker.ask(bench.train(1))
        assert raised.value.file == "script.py" and "rank 1 cannot" in raised.value.traceback

        with pytest.raises(TaskFailed, match="rank 1 of 2 ended without an answer"):
            await worker.ask(bench.train(2))

        assert (await worker.ask(bench.train(3)))["say"] == "done"
        left = family(worker)
        assert len(left) > 3  # worker, torchrun, two ranks
    assert not psutil.wait_procs(left, timeout=5)[1]
    # What ranks print goes through torchrun, and may come after the answer.
    assert {"rank 0 of 2 in round 0", "rank 1 of 2 in round 0"} <= set(printed(bench))


def printed(bench: Bench) -> list[str]:
    return [line.rpartition("| ")[2] for line in bench.log.read_text().splitlines()]


PLAIN = """
import torch
import torch.distributed as dist
import rondo

if dist.is_torchelastic_launched():
    dist.init_process_group("gloo")
for task in rondo.join():
    world = torch.ones(1)
    if dist.is_initialized():
        dist.all_reduce(world)
    task.submit(task.model, samples=1, local_metrics={"ranks": world.item()})
"""
MODEL = "import numpy as np\n\n\ndef new_model():\n    return {'w': np.zeros(4, np.float32)}\n"


async def test_faq_C3_clients_with_different_numbers_of_gpus(tmp_path: Path) -> None:
    """Two ranks at one, one at the other, on one host at the same time; one update a client and round."""
    toml = '[model]\nfunction = "work:new_model"\n[client]\nscript = "script.py"\n'
    job = write_job(tmp_path / "job", code=MODEL, toml=toml, num_rounds=2, wait_after_min_clients=600)
    (job / "script.py").write_text(PLAIN)
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        lines = ["set_run_number 1", "deploy job server", "deploy job client", "start server"]
        await made.session.facts("upload_folder", str(job))
        for line in [*lines, "start_mgpu client 2 a", "start_mgpu client 1 bb"]:
            await command(made.session, line)
        await made.ended(1)
        metrics = (await made.session.facts("list_metrics", "1"))["metrics"]
    assert sorted((row["round"], row["client"], row["value"]) for row in metrics if row["name"] == "ranks") == [
        (0, "a", 2.0), (0, "bb", 1.0), (1, "a", 2.0), (1, "bb", 1.0),
    ]  # fmt: skip


async def test_a_trainer_class_is_called_on_every_rank(bench: Bench) -> None:
    body = "rank = int(os.environ['RANK'])\nprint('at rank', rank, flush=True)\nreturn dict(model), 1, {'rank': rank}"
    bench.write("user.py", training(body))
    async with open_worker(bench.spec()) as worker:
        assert await worker.ask(bench.open(**{"class": "user:Trainer"}) | {"ranks": 2}) == {"say": "ready"}
        assert (await worker.ask(bench.train()))["local_metrics"] == {"rank": 0.0}
    assert {"at rank 0", "at rank 1"} <= set(printed(bench))


async def test_a_rank_that_goes_on_telling_holds_no_failure_up(bench: Bench) -> None:
    """Rank 0 waits for nobody and would never end; and folders with long names, as sandboxes have, are no hindrance."""
    body = "if os.environ['RANK'] == '1':\n    raise ValueError('rank 1 cannot')\n"
    bench.write("user.py", training(f"{body}while True:\n    rondo.progress(0.5, '')\n    time.sleep(0.11)"))
    temporary = bench.folder / ("a" * 120)
    temporary.mkdir()
    async with asyncio.timeout(60), open_worker(bench.spec(env={"TMPDIR": str(temporary)})) as worker:
        await worker.ask(bench.open(**{"class": "user:Trainer"}) | {"ranks": 2})
        with pytest.raises(TaskFailed, match="rank 1 of 2: ValueError: rank 1 cannot"):
            await worker.ask(bench.train())


@pytest.mark.parametrize(
    ("trainer", "text", "says"),
    [
        ("sklearn", "", "gpus: the trainer sklearn trains in one process"),
        ("function", "import no_such_module", "rank [01] of 2: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
async def test_what_cannot_begin_is_told(bench: Bench, trainer: str, text: str, says: str) -> None:
    bench.write("user.py", text)
    async with open_worker(bench.spec()) as worker:
        with pytest.raises(TaskFailed, match=says):
            await worker.ask(bench.open(trainer, **{"class": "user:Trainer"}) | {"ranks": 2})
