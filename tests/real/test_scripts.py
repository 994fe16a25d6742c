"""A script in a worker: it takes its tasks from ``rondo.join()``, and every way to get that wrong is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import WorkerDied
from rondo.worker.host import TaskFailed, open_worker
from tests.worker.jobs import Bench

GOOD = """
import sys
import numpy as np
import rondo

print("args", sys.argv[1:])
start = {"b": np.array(0.5, np.float32), "w": np.zeros((2, 3), np.float32)}
for task in rondo.join(start):
    model = task.model
    model["w"] += 1
    print("round", task.round, "of", task.rounds, task.kind, task.site.name, task.data)
    task.submit(model, samples=4, metrics={"mean": model["w"].mean()}, local_metrics={"loss": 0.5}, steps=2)
print("after the loop")
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_script_is_ready_at_its_first_task_and_goes_on_after_the_last(bench: Bench) -> None:
    async with bench.script(GOOD, "--site", "{site}", "{workspace}") as worker:
        answer = await worker.ask(bench.train(3))
        assert answer["samples"] == 4 and answer["metrics"] == {"mean": 3.5} and answer["steps"] == 2
        assert np.array_equal(bench.result()["w"], bench.arrays["w"] + 1)
        assert (await worker.ask(bench.train(4)))["digest"] == answer["digest"]
        answer = await worker.ask(bench.train(5, do="validate"))
        assert answer == {"say": "done", "samples": 4.0, "metrics": {"mean": 3.5}}
    log = bench.log.read_text()
    assert f"args ['--site', 'site-1', '{bench.folder / 'run'}']" in log
    assert "round 3 of 5 train site-1 None" in log and "site-1 | after the loop" in log


def test_the_same_script_runs_alone(bench: Bench) -> None:
    script = bench.write("script.py", GOOD)
    done = subprocess.run([sys.executable, str(script), "x"], capture_output=True, text=True, cwd=bench.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "args ['x']",
        "round 0 of 1 train alone None",
        "rondo: one local round, 4 samples, mean 1, loss 0.5",
        "after the loop",
    ]
    assert sorted(path.name for path in bench.folder.iterdir()) == ["job", "model.safetensors"]


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("x = 1\n", "the script ended without asking for a task", 0),
        ("import rondo\nrondo.join()\n", "the script ended without asking for a task", 0),
        ("import sys\nsys.exit(2)\n", "user code called sys.exit(2)", 2),
        ("def f(:\n", "SyntaxError: invalid syntax", 1),
        ("import rondo\nrondo.join([1])\n", "rondo.join: got a list (join(model.state_dict()))", 2),
        ("import rondo\nraise SystemError('no data')\n", "SystemError: no data", 2),
    ],
)
async def test_a_script_that_never_gets_ready(bench: Bench, text: str, error: str, line: int) -> None:
    bench.write("script.py", text)
    async with open_worker(bench.spec()) as worker:
        for request in (
            bench.open("script", script="script.py"),
            bench.train(),
        ):  # the first error is the answer to all
            with pytest.raises(TaskFailed) as caught:
                await worker.ask(request)
            assert caught.value.error.startswith(error)
            assert (caught.value.file, caught.value.line) == (("script.py", line) if line else ("", 0))


LOOP = "import rondo, sys, os\nfor task in rondo.join():\n    first = task.round == 0\n    "


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("pass", "the script did not submit round 0: call task.submit(...) before the next task"),
        ("break", "the script ended: it takes no more tasks"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("sys.exit(1)", "user code called sys.exit(1)"),
        ("task.submit({'b': task.model['b']}, samples=1)", "update: tensors differ from the model: 'w' is missing"),
        ("task.submit(task.model, samples=0)", "samples: must be a finite number above 0"),
        (
            "task.submit(task.model, samples=1, metric={})",
            "TypeError: JoinedTask.submit() got an unexpected keyword argument 'metric'",
        ),
        ("task.submit(task.model)", "TypeError: JoinedTask.submit() missing 1 required keyword-only argument"),
    ],
)
async def test_a_script_that_fails_in_a_round(bench: Bench, body: str, error: str) -> None:
    async with bench.script(LOOP + body) as worker:
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(bench.train(0))
        assert caught.value.error.startswith(error)
        if body not in ("pass", "break"):
            assert (caught.value.file, caught.value.line) == ("script.py", 4)


async def test_a_script_that_forgot_to_submit_gets_the_next_task(bench: Bench) -> None:
    async with bench.script(LOOP + "if not first: task.submit(task.model, samples=1)") as worker:
        with pytest.raises(TaskFailed, match="did not submit round 0"):
            await worker.ask(bench.train(0))
        assert (await worker.ask(bench.train(1)))["say"] == "done"


async def test_submitting_twice_is_an_error_in_the_script(bench: Bench) -> None:
    async with bench.script(LOOP + "task.submit(task.model, samples=1); task.submit(task.model, samples=1)") as worker:
        assert (await worker.ask(bench.train(0)))["say"] == "done"
        with pytest.raises(TaskFailed, match="round 0: was submitted before") as caught:
            await worker.ask(bench.train(1))
        assert (caught.value.file, caught.value.line) == ("script.py", 4)


async def test_a_failed_submit_may_be_mended(bench: Bench) -> None:
    body = """try:
        task.submit({}, samples=1)
    except rondo.base.errors.BadInput:
        task.submit(task.model, samples=1)"""
    async with bench.script("import rondo.base.errors\n" + LOOP + body) as worker:
        assert (await worker.ask(bench.train(0)))["say"] == "done"


async def test_a_script_that_dies_in_a_round(bench: Bench) -> None:
    async with bench.script(LOOP + "print('bye'); os._exit(0)") as worker:
        with pytest.raises(WorkerDied, match="exit code 0 without an answer") as caught:
            await worker.ask(bench.train(0))
        assert "bye" in caught.value.detail


async def test_a_script_that_ends_when_it_has_had_enough(bench: Bench) -> None:
    async with bench.script(LOOP + "task.submit(task.model, samples=1)\n    break\nprint('enough')") as worker:
        assert (await worker.ask(bench.train(0)))["say"] == "done"
        with pytest.raises(TaskFailed, match="it takes no more tasks"):
            await worker.ask(bench.train(1))
    assert "enough" in bench.log.read_text()


@pytest.mark.parametrize("last", ["raise ValueError('late')", "sys.exit('late')"])
async def test_what_a_script_raises_after_its_last_task_is_in_the_log(bench: Bench, last: str) -> None:
    text = LOOP + f"task.submit(task.model, samples=1)\n{last}"
    async with bench.script(text, close_patience=600) as worker:  # it ends by itself
        await worker.ask(bench.train(0))
    assert "late" in bench.log.read_text()


async def test_a_script_sees_itself_as_the_main_program(bench: Bench) -> None:
    bench.write("beside.py", "WORD = 'found'\n")
    text = """
    import multiprocessing, os, rondo, sys
    from beside import WORD
    def square(n): return n * n
    if __name__ == "__main__":
        print(WORD, __file__ == sys.argv[0], os.getcwd())
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print("pool", pool.map(square, [3]))
        for task in rondo.join():
            task.submit(task.model, samples=1)
    """
    async with bench.script(text) as worker:
        await worker.ask(bench.train())
    log = bench.log.read_text()
    assert f"found True {bench.folder / 'run'}" in log and "pool [9]" in log


async def test_bfloat16_and_torch_arrive_as_torch(bench: Bench, tmp_path: Path) -> None:
    text = """
    import torch, rondo
    for task in rondo.join():
        model = task.model
        print({name: (str(value.dtype), value.tolist()) for name, value in model.items()})
        model["w"] += torch.rand(2, 3)
        task.submit(model, samples=1)
    """
    async with bench.script(text) as worker:
        digests = {(await worker.ask(bench.train(0)))["digest"] for _ in range(2)}
    assert len(digests) == 1  # torch is seeded with the task's seed
    assert "'b': ('torch.float32', 0.5)" in bench.log.read_text()
    assert not np.array_equal(bench.result()["w"], bench.arrays["w"])
