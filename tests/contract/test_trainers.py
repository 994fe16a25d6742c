"""Every trainer of the room, in a real worker: the same promises whichever it is. A new one must bring a case here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rondo.base import rooms
from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.jobs.task import Site
from rondo.trainers.seam import Program, Trainer
from rondo.worker.host import TaskFailed, Worker, open_worker
from tests.mmar.folders import make_linear
from tests.worker.jobs import Bench

ROOM = "rondo.trainers"
ARRAYS: Mapping[str, np.ndarray[Any, Any]] = {
    "coef_": np.full((1, 3), 0.25, np.float32),
    "intercept_": np.zeros(1, np.float32),
}

# name -> (the job's one module, "job.py"; the trainer's options). Each trains ARRAYS, by chance, at any site.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "function": (
        """
        import numpy as np
        class Trainer:
            def __init__(self, site): self.site = site
            def train(self, model, task):
                return {name: array + np.random.rand(*array.shape) for name, array in model.items()}, 8
            def validate(self, model, task):
                return 8, {"mean": model["coef_"].mean()}
        """,
        {"class": "job:Trainer"},
    ),
    "script": (
        """
        import numpy as np, rondo
        for task in rondo.join():
            model = task.model
            mean = model["coef_"].mean()
            task.submit({name: array + np.random.rand(*array.shape) for name, array in model.items()},
                        samples=8, metrics={"mean": mean})
        """,
        {"script": "job.py"},
    ),
    "torch": (
        """
        import torch
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.coef_ = torch.nn.Parameter(torch.zeros(1, 3))
                self.intercept_ = torch.nn.Parameter(torch.zeros(1))
        def data(site): return range(8)
        def train(net, data, task):
            with torch.no_grad():
                for value in net.parameters(): value += torch.rand(value.shape)
        def validate(net, task): return 8, {"mean": net.coef_.mean()}
        """,
        {"model": "job:Net", "data": "job:data", "train": "job:train", "validate": "job:validate"},
    ),
    "sklearn": (
        """
        import numpy as np
        def data(site):
            x = np.arange(24.0).reshape(8, 3)
            y = np.array([0, 1] * 4)
            return x, y, x, y
        """,
        {"data": "job:data", "classes": [0, 1]},
    ),
    "monai_bundle": (
        """
        import torch
        from monai.fl.client import ClientAlgo
        from monai.fl.utils.constants import FlStatistics, WeightType
        from monai.fl.utils.exchange_object import ExchangeObject
        class Algo(ClientAlgo):
            def initialize(self, extra=None): pass
            def train(self, data, extra=None):
                self.weights = {name: value + torch.rand(value.shape) for name, value in data.weights.items()}
            def get_weights(self, extra=None):
                done = {FlStatistics.NUM_EXECUTED_ITERATIONS: 8}
                return ExchangeObject(weights=self.weights, weight_type=WeightType.WEIGHTS, statistics=done)
            def evaluate(self, data, extra=None):
                return ExchangeObject(metrics={"mean": data.weights["coef_"].mean()},
                                      statistics={FlStatistics.NUM_EXECUTED_ITERATIONS: 8})
        """,
        {"algo": "job:Algo"},
    ),
    "mmar": ("", {"local_epochs": 2}),  # the rest of it is no module: ``make_linear``
}
NAMES = rooms.names(ROOM)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ARRAYS)


def lay(bench: Bench, name: str) -> dict[str, Any]:
    """Write the job of the case; its options."""
    text, options = CASES[name]
    if name == "mmar":
        make_linear(bench.code)
    else:
        bench.write("job.py", text)
    return options


def test_every_trainer_has_a_case() -> None:
    assert sorted(CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_it_trains_by_the_contract(bench: Bench, name: str) -> None:
    options = lay(bench, name)
    async with open_worker(bench.spec()) as worker:
        assert await worker.ask(bench.open(name, **options)) == {"say": "ready"}
        first = await _train(bench, worker, 0, seed=1)
        kept = bench.result()
        assert first["samples"] == 8 and first["metrics"]
        assert {n: (a.shape, a.dtype) for n, a in kept.items()} == {n: (a.shape, a.dtype) for n, a in ARRAYS.items()}
        assert not np.array_equal(kept["coef_"], ARRAYS["coef_"] if first["kind"] == "weights" else 0 * kept["coef_"])

        # Equal inputs give equal bits, also after a task for somebody else; other seeds give others.
        other = await _train(bench, worker, 0, seed=2)
        assert other["digest"] != first["digest"]
        assert (await _train(bench, worker, 0, seed=1)) == first

        # The metrics of a task are those of the model received, and validating measures the same.
        measured = await worker.ask(bench.train(1, do="validate"))
        assert set(measured) == {"say", "samples", "metrics"}
        assert measured["samples"] == 8 and measured["metrics"] == first["metrics"]

        answer = await _train(bench, worker, 1, seed=1)
        assert answer["say"] == "done" and set(answer) == set(first)


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_file_that_lies_is_refused(bench: Bench, name: str) -> None:
    options = lay(bench, name)
    bench.model.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    async with open_worker(bench.spec()) as worker:
        await worker.ask(bench.open(name, **options))
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(bench.train())
        assert caught.value.kind == "BadInput" and str(bench.model) in caught.value.error


@pytest.mark.parametrize("name", NAMES)
def test_wrong_options_are_refused_by_name(name: str) -> None:
    module, options = importlib.import_module(f"{ROOM}.{name}"), CASES[name][1]
    key = next(iter(options))
    with pytest.raises(BadInput, match=f"unknown key '{key}x'.*did you mean '{key}'"):
        decode(module.Options, {**options, f"{key}x": 1}, name)
    if next(field for field in msgspec.structs.fields(module.Options) if field.encode_name == key).required:
        with pytest.raises(BadInput, match=f"missing required field `{key}`"):
            decode(module.Options, {}, name)
    with pytest.raises(BadInput, match=rf"Expected `(str|int)`, got `array` - at `\$.{key}`"):
        decode(module.Options, {**options, key: []}, name)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_builds_is_a_trainer_or_a_program(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = lay(bench, name)
    module = importlib.import_module(f"{ROOM}.{name}")
    path = bench.write("job.py", CASES[name][0])
    options = {
        key: value.replace("job:", f"job_{name}:") if isinstance(value, str) else value
        for key, value in options.items()
    }
    path.with_name(f"job_{name}.py").write_text(path.read_text())
    monkeypatch.syspath_prepend(bench.code)
    made = module.build(decode(module.Options, options, name), Site("site-1", bench.folder, bench.code))
    assert isinstance(made, Trainer) != isinstance(made, Program)
    if isinstance(made, Trainer):
        assert made.evaluates


async def _train(bench: Bench, worker: Worker, number: int, seed: int) -> dict[str, Any]:
    return await worker.ask(bench.train(number, seed=seed))
