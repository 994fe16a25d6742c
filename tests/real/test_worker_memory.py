"""What Rondo adds in a training worker beyond the user's own model: at most one copy of the largest tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from rondo.worker.host import TaskFailed, Worker
from tests.worker.jobs import Bench, training

MIB = 1 << 20
LARGEST, OTHERS = 24 * MIB, 8 * MIB
MODEL = LARGEST + 4 * OTHERS
SLACK = 6 * MIB  # what an allocator keeps free, and small things

SCRIPT = """
import rondo


def held():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


for task in rondo.join():
    before = held()
    model = task.model
    most = max(float(array.max()) for array in model.values())
    task.submit(model, samples=1, metrics={"added": held() - before, "most": most})
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    sizes = {"w0": LARGEST, **{f"w{n}": OTHERS for n in range(1, 5)}}
    return Bench(tmp_path, {name: np.zeros(size // 4, np.float32) for name, size in sizes.items()})


class Bounded:
    """The private memory of a worker, heap and arrays, from now on (RLIMIT_DATA)."""

    def __init__(self, worker: Worker) -> None:
        (self._process,) = psutil.Process(worker.pid).children()  # of its keeper
        self._before = self._process.memory_info().data

    def may_grow(self, more: int) -> None:
        limit = self._before + more
        self._process.rlimit(psutil.RLIMIT_DATA, (limit, psutil.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("dtype", "own", "rondos"),
    [("f4", MODEL, 0), ("f8", 2 * MODEL, LARGEST)],
    ids=["as it is", "rounded"],
)
async def test_an_update_of_a_function_is_written_tensor_by_tensor(
    bench: Bench, dtype: str, own: int, rondos: int
) -> None:
    text = training(f"return {{name: model[name].astype('{dtype}') for name in model}}, 1\n")
    async with bench.worker(text) as worker:
        memory = Bounded(worker)
        memory.may_grow(own - OTHERS // 2)  # the limit is one: what is the user's own does not fit
        with pytest.raises(TaskFailed, match="MemoryError"):
            await worker.ask(bench.train(0))
        memory.may_grow(own + rondos + SLACK)
        assert (await worker.ask(bench.train(0)))["say"] == "done"


async def test_a_script_is_given_the_model_without_a_copy(bench: Bench) -> None:
    async with bench.script(SCRIPT) as worker:
        metrics = (await worker.ask(bench.train(0)))["metrics"]
    assert metrics["most"] == 0.0  # it was looked at
    assert metrics["added"] < SLACK
