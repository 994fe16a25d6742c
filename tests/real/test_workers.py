"""Workers as processes: what user code may do to one, and what its parent then says. Every kind ends in an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import psutil
import pytest

from rondo.base.errors import NoSpace
from rondo.worker.host import TaskFailed, open_worker
from tests.worker.jobs import GOOD, Bench, training


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_one_worker_does_task_after_task(bench: Bench) -> None:
    async with bench.worker(GOOD) as worker:
        answer = await worker.ask(bench.train(0))
        assert answer["say"] == "done" and answer["kind"] == "weights"
        assert answer["samples"] == 10 and answer["path"] == str(bench.out)
        assert np.array_equal(bench.result()["w"], bench.arrays["w"] + 1)
        assert (await worker.ask(bench.train(1)))["digest"] == answer["digest"]


async def test_metrics_are_measured_on_the_model_received(bench: Bench) -> None:
    text = """
        import numpy as np
        import rondo
        class Trainer:
            def __init__(self, site): pass
            def train(self, model, task):
                print("round", task.round, task.kind, task.rounds)
                local = {"loss": np.float32(0.5), "bad": float("nan")}
                tensors = {name: -array for name, array in model.items()}
                return rondo.Update(tensors, np.int64(3), metrics={"own": True}, local_metrics=local, steps=4)
            def validate(self, model, task):
                print("validate", task.kind)
                return 4, {"mean": model["w"].mean(), "own": 0.0}
    """
    async with bench.worker(text) as worker:
        answer = await worker.ask(bench.train(2))
        assert answer["metrics"] == {"mean": 2.5, "own": 1.0}
        assert answer["local_metrics"] == {"loss": 0.5} and answer["steps"] == 4
        answer = await worker.ask(bench.train(2, do="validate"))
        assert answer == {"say": "done", "samples": 4.0, "metrics": {"mean": 2.5, "own": 0.0}}
    log = bench.log.read_text()
    assert "site-1 | [rondo] local_metrics['bad'] is nan: not recorded" in log
    assert "site-1 | round 2 train 5" in log and "site-1 | validate validate" in log


async def test_equal_seeds_give_equal_bits(bench: Bench) -> None:
    body = """
    import random
    noise = np.random.rand(2, 3).astype("f4") + random.random()
    return {"b": model["b"], "w": (model["w"] + noise).astype("f4")}, 1
    """
    async with bench.worker(training(body)) as worker:
        digests = [(await worker.ask(bench.train(0, seed=seed)))["digest"] for seed in (1, 2, 1)]
    assert digests[0] == digests[2] != digests[1]
    async with bench.worker(training(body)) as worker:
        assert (await worker.ask(bench.train(0, seed=2)))["digest"] == digests[1]


async def test_validating_first_does_not_change_what_is_trained(bench: Bench) -> None:
    body = "return {'b': model['b'], 'w': np.random.rand(2, 3).astype('f4')}, 1\n"
    digests = []
    for more in ("", "    def validate(self, model, task): return {'x': np.random.rand()}\n"):
        async with bench.worker(training(body) + more) as worker:
            digests.append((await worker.ask(bench.train()))["digest"])
    assert digests[0] == digests[1]


async def test_progress_is_told_while_it_works(bench: Bench) -> None:
    told: list[tuple[float, str]] = []
    body = "rondo.progress(0.5, 'epoch 1')\nreturn dict(model), 1"
    async with bench.worker(training(body)) as worker:
        await worker.ask(bench.train(), lambda fraction, detail: told.append((fraction, detail)))
    assert told == [(0.5, "epoch 1")]


async def test_an_exception_is_told_with_its_place_and_the_worker_lives(bench: Bench) -> None:
    body = """
    if task.round == 0:
        for n in range(3000): print("about to fail", n)
        [][3]
    return dict(model), 1
    """
    async with bench.worker(training(body)) as worker:
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(bench.train(0))
        failed = caught.value
        assert failed.error == "IndexError: list index out of range" and failed.exit_code == 8
        lines = bench.code.joinpath("user.py").read_text().splitlines()
        assert failed.file == "user.py" and lines[failed.line - 1].strip() == "[][3]"
        first = failed.traceback.splitlines()[1]
        assert str(bench.code / "user.py") in first
        assert "about to fail 2999" in failed.last_lines and "IndexError" in failed.last_lines
        assert str(failed).startswith("site-1: IndexError") and failed.detail == failed.traceback
        assert (await worker.ask(bench.train(1)))["say"] == "done"
    assert "child.py" in bench.log.read_text()  # the log has the whole traceback


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax", 2),
        ("\n\nimport no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'", 3),
        ("from os import no_such_name\n", "ImportError: cannot import name 'no_such_name' from 'os'", 1),
        ("class Other: pass\n", "class: module 'user' has no 'Trainer'", 0),
        ("class Trainer:\n    def __init__(self, site):\n        1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("class Trainer:\n    def __init__(self, site): pass\n", "class: user:Trainer has no train(model, task)", 0),
        ("import sys\nsys.exit(0)\n", "user code called sys.exit(0)", 2),
    ],
)
async def test_code_that_cannot_be_loaded_is_told_at_open(bench: Bench, text: str, error: str, line: int) -> None:
    bench.write("user.py", text)
    async with open_worker(bench.spec()) as worker:
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(bench.open(**{"class": "user:Trainer"}))
    assert caught.value.error.startswith(error)
    assert (caught.value.file, caught.value.line) == (("user.py", line) if line else ("", 0))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("pass", "trainer: train returned nothing"),
        ("return 'done'", "trainer: train returned a str"),
        ("return [1.0], 1", "update: is a list; it must map tensor names to arrays"),
        ("return {'b': model['b'], 'w': model['w'].T}, 1", "'w' has shape [3, 2] instead of [2, 3]"),
        ("return {'b': model['b']}, 1", "'w' is missing"),
        ("return {**model, 'x': model['b']}, 1", "'x' is not in the model"),
        ("return {**model, 'w': model['w'].astype('i4')}, 1", "'w' has dtype I32 instead of F32"),
        ("return {**model, 'w': model['w'].tolist()}, 1", "w: is a list; it must be a numpy array or a torch tensor"),
        ("return {**model, 'w': model['w'].astype(complex)}, 1", "w: numpy type complex128 cannot be stored"),
        ("return {**model, 'w': np.full((2, 3), np.nan, 'f4')}, 1", "tensor 'w' holds NaN or infinity"),
        ("return {**model, 'w': np.full((2, 3), 1e300)}, 1", "tensor 'w' holds NaN or infinity"),
        ("return dict(model), 0", "samples: must be a finite number above 0, got 0.0"),
        ("return dict(model), -1", "samples: must be a finite number above 0, got -1.0"),
        ("return dict(model), float('inf')", "samples: must be a finite number above 0, got inf"),
        ("return dict(model), None", "samples: must be a number, got NoneType"),
        ("return dict(model), 1, {'auc': [1, 2]}", "local_metrics['auc']: must be a number, got list"),
        ("return dict(model), 1, {'auc': np.ones(1)}", "local_metrics['auc']: must be a number, got ndarray"),
        ("return dict(model), 1, {'auc': '0.5'}", "local_metrics['auc']: must be a number, got str"),
        ("return dict(model), 1, 0.5", "local_metrics: are a float; they must map names to numbers"),
        ("return rondo.Update(dict(model), 1, kind='delta')", "kind: must be 'weights' or 'diff', got 'delta'"),
        ("return rondo.Update(dict(model), 1, omitted=['w'])", "'w' is declared omitted but was sent"),
        ("return rondo.Update(dict(model), 1, steps=-2)", "steps: must be a finite number, 0 or more, got -2.0"),
        ("sys.exit()", "user code called sys.exit(None)"),
        ("raise KeyboardInterrupt", "user code raised KeyboardInterrupt"),
        ("np.zeros(1 << 50)", "MemoryError"),
        ("model['w'][0] = 1", "ValueError: assignment destination is read-only"),
    ],
)
async def test_a_wrong_answer_is_refused_by_name(bench: Bench, body: str, says: str) -> None:
    async with bench.worker(training(body)) as worker:
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(bench.train())
    assert says in caught.value.error
    assert not bench.out.exists() and not list(bench.folder.glob(".*"))


async def test_float64_from_numpy_is_rounded_and_noted_once(bench: Bench) -> None:
    async with bench.worker(training("return {k: v * np.float64(2) for k, v in model.items()}, 1")) as worker:
        for number in range(3):
            await worker.ask(bench.train(number))
    assert bench.result()["w"].dtype == np.float32 and bench.result()["w"][1, 2] == 10
    assert bench.log.read_text().count("rounded to float32") == 1


async def test_a_gigabyte_of_output_harms_nobody(bench: Bench, tmp_path: Path) -> None:
    """256 MiB in one line: memory stays, the loop stays awake, another worker works on; the log is bounded."""
    size = 256 << 20
    body = f"rondo.progress(0)\nfor _ in range({size >> 20}): sys.stdout.write('x' * (1 << 20))\nreturn dict(model), 1"
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    tasks, before = 0, psutil.Process().memory_info().rss
    async with (
        bench.worker(training(body), log_limit=8 << 20) as loud,
        other.worker(training("return dict(model), 1")) as quiet,
    ):
        task = asyncio.create_task(loud.ask(bench.train()))
        while not task.done():
            await quiet.ask(other.train())
            tasks += 1
        assert (await task)["say"] == "done"
    assert psutil.Process().memory_info().rss - before < 48 << 20
    assert tasks > 3, "the loop was busy with the output"
    older = bench.log.with_name("site-1.log.1")
    kept = bench.log.stat().st_size + older.stat().st_size
    assert 8 << 20 <= kept < 17 << 20
    text = bench.log.read_bytes()
    assert b"bytes of older output were dropped\n" in text


async def test_lines_are_offered_but_not_too_many(bench: Bench) -> None:
    shown: list[str] = []
    body = "for n in range(100_000): print('line', n)\nreturn dict(model), 1"
    async with bench.worker(training(body), on_line=shown.append) as worker:
        await worker.ask(bench.train())
    assert shown[0] == "line 0" and len(shown) < 2000
    assert bench.log.read_bytes().count(b"site-1 | line ") == 100_000


async def test_the_log_goes_on_where_the_last_worker_ended(bench: Bench) -> None:
    for _ in range(2):
        async with bench.worker(GOOD + "print('hello')\n"):
            pass
    assert bench.log.read_text().count("site-1 | hello\n") == 2


async def test_user_code_gets_a_clean_world(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDO_DATABASE_URL", "postgresql://user:password@host/db")
    monkeypatch.setenv("PATH_OF_SITE", "kept")
    monkeypatch.setenv("WORLD_SIZE", "9")  # as where a cluster has started the client by torchrun
    body = """
    found = subprocess.run(["sh", "-c", "ls /proc/self/fd; env; pwd"], capture_output=True, text=True, close_fds=False)
    print(found.stdout)
    print("cwd", os.getcwd(), "hash", hash("x"), "argv", sys.path[0])
    return dict(model), 1
    """
    hashes = []
    for _ in range(2):
        async with bench.worker(training(body), seed=5, env={"MINE": "1"}) as worker:
            await worker.ask(bench.train())
        text = bench.log.read_text()
        hashes.append(text.rpartition("hash ")[2].split()[0])
    assert "RONDO_" not in text and "WORLD_SIZE" not in text and "PATH_OF_SITE=kept" in text and "MINE=1" in text
    assert f"cwd {bench.folder / 'run'} " in text and f"argv {bench.code}" in text
    assert hashes[0] == hashes[1]
    descriptors = [line.split("| ")[1] for line in text.splitlines() if line.split("| ")[1].isdigit()]
    assert sorted(set(descriptors)) == ["0", "1", "2", "3"]  # 3 is the listed folder itself


async def test_a_worker_does_only_what_it_was_opened_for(bench: Bench) -> None:
    async with open_worker(bench.spec(purpose="fold")) as worker:
        for request in (bench.train(), {"do": "dance"}):
            with pytest.raises(TaskFailed, match=f"this worker cannot '{request['do']}'"):
                await worker.ask(request)


async def test_a_log_that_cannot_be_written_is_said_before_anything_starts(bench: Bench) -> None:
    bench.log.parent.write_text("a file where the folder should be")
    with pytest.raises(NoSpace, match="cannot write the worker's log"):
        async with open_worker(bench.spec()):
            pass
