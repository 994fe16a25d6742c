"""MMARs and MONAI bundles in several processes, with real torchrun and gloo: they train as one."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.jobs.job import read_job
from rondo.jobs.task import Site, Task
from rondo.policy.site import FILE
from rondo.tensors.digest import file_digest
from rondo.tensors.files import write_tensors
from rondo.trainers import mmar, monai_bundle
from rondo.worker.host import TaskFailed, open_worker
from tests.jobs.folders import fill
from tests.mmar.folders import BOTH, make_linear
from tests.real.gates import command
from tests.real.world import world
from tests.trainers.bundles import write_bundle, write_data
from tests.worker.jobs import Bench

# A network that counts while it trains, which changes what it says when it is measured. Twelve cases to train with,
# five to measure with (two processes have three and two); a handler that says where it is; data that may be missing.
PARTS = """
import os
from pathlib import Path
import torch
from ignite.engine import Events

RANK = int(os.environ.get("RANK", "0"))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.coef_ = torch.nn.Parameter(torch.zeros(1, 3))
        self.intercept_ = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        made = torch.nn.functional.linear(x, self.coef_, self.intercept_)
        if self.training:
            self.seen += x.mean()
            return made
        return made + self.seen


class Cases(torch.utils.data.Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if RANK == 1 and Path("missing").exists():
            raise ValueError(f"no case {index}")
        return {"image": torch.arange(3.0) * index / 8, "label": torch.tensor([float(index % 2)])}


class Says:
    def __init__(self, what):
        self.what = what

    def attach(self, engine):
        engine.add_event_handler(Events.STARTED, self.say)

    def say(self, engine):
        print("handler", self.what, "at", RANK, type(engine.network).__name__, flush=True)
"""


def section(cases: int, batch: int) -> dict[str, Any]:
    return {
        "dataset": {"path": "parts.Cases", "args": {"count": cases}},
        "dataloader": {"name": "DataLoader", "args": {"batch_size": batch, "shuffle": False}},
        "metrics": [{"name": "MeanSquaredError", "log_label": "error", "is_key_metric": True, "args": BOTH}],
    }


def make(folder: Path, batch: int) -> Path:
    """An MMAR whose two processes see with ``batch`` 2 in each step what one sees with 4."""
    handlers = [
        {"path": "parts.Says", "args": {"what": "one"}, "rank": 1},
        {"path": "parts.Says", "args": {"what": "all"}},
        {"name": "ValidationHandler", "rank": 0, "args": {"interval": 1}},
        {"name": "LrScheduleHandler", "rank": 0, "args": {"print_lr": False}},
    ]
    changes = {
        "train train": {
            "loss": {"name": "BCEWithLogitsLoss"},
            "optimizer": {"name": "SGD", "args": {"lr": 0.1, "momentum": 0.9}},
            "lr_scheduler": {"name": "StepLR", "args": {"step_size": 1, "gamma": 0.5}},
            "model": {"path": "parts.Net"},
            **section(12, batch),
            "handlers": handlers,
            "trainer": {"name": "SupervisedTrainer"},
        },
        "train validate": {
            **section(5, 1),
            "handlers": [{"name": "CheckpointSaver", "args": {"save_dict": ["model"], "save_key_metric": True}}],
            "evaluator": {"name": "SupervisedEvaluator"},
        },
        "client client_trainer args local_epochs": 2,
    }
    return fill(make_linear(folder, changes), {"custom/parts.py": PARTS})


FIRST = {name: np.zeros(shape, np.float32) for name, shape in (("coef_", (1, 3)), ("intercept_", 1), ("seen", 1))}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, FIRST)


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a trainer in this process: MONAI warns of what is not installed, files are written where it stands, and
    Python knows no ``parts`` of another test's MMAR."""
    (tmp_path / "alone").mkdir()
    monkeypatch.chdir(tmp_path / "alone")
    sys.modules.pop("parts", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    sys.modules.pop("parts", None)


def opening(bench: Bench, ranks: int = 2) -> dict[str, Any]:
    trainer = read_job(bench.code).client.trainer
    return bench.open(trainer.name, **trainer.options) | {"ranks": ranks}


async def test_an_mmar_in_two_processes(bench: Bench, tmp_path: Path, quiet: None) -> None:
    make(bench.code, batch=2)
    here = Site("site-1", tmp_path / "alone", make(tmp_path / "one", batch=4))
    alone = mmar.build(mmar.Options(local_epochs=2), here)
    model, keep = dict(FIRST), {"folder": str(bench.folder / "run"), "run": 1, "metric": "error", "mode": "min"}
    async with open_worker(bench.spec()) as worker:
        await worker.ask(opening(bench))
        for number in range(2):
            task = Task("train", number, 5, 11, here)
            before = alone.validate(model, replace(task, kind="validate"))[1]
            update = alone.train(model, task)
            answer = await worker.ask(bench.train(number) | {"keep": keep})
            # What was received is measured by all of them together, and trained as by one with the same batches.
            assert answer["metrics"] == pytest.approx(before)
            assert (answer["samples"], update.samples, answer["steps"], update.steps) == (12.0, 12.0, 12.0, 6.0)
            for name in ("coef_", "intercept_"):
                np.testing.assert_allclose(bench.result()[name], update.tensors[name], rtol=1e-5, atol=1e-7)
                assert np.abs(bench.result()[name]).max() > 1e-3
            # What one of them counts is that of all, where they measure what they have trained.
            model = {name: model[name] + change for name, change in bench.result().items()}
            write_tensors(bench.model, model)
            assert answer["local_metrics"] == pytest.approx(alone.validate(model, task)[1])
        best = torch.load(bench.code / "models" / "local_best_model.pt", weights_only=True)
        assert set(best["model"]) == set(FIRST)
        collected = await worker.ask(bench.train(2, do="collect") | {"keep": keep})
        assert file_digest(bench.out).digest == collected["digest"] and set(bench.result()) == set(FIRST)

        # What happens at one of them ends the task of all.
        (bench.folder / "run" / "missing").touch()
        with pytest.raises(TaskFailed, match="rank 1 of 2: ValueError: no case 1") as raised:
            await worker.ask(bench.train(2))
        assert raised.value.file == "custom/parts.py"
    said = {line.rpartition("| handler ")[2] for line in bench.log.read_text().splitlines() if "| handler" in line}
    assert said == {f"all at {rank} DistributedDataParallel" for rank in (0, 1)} | {"one at 1 DistributedDataParallel"}
    assert bench.log.read_text().count("ValidationHandler: rank is passed over, all processes need it") == 1


# As the bundles of MONAI's zoo say it, but for gloo and a fixed order.
TOGETHER = {
    "network": {"_target_": "torch.nn.parallel.DistributedDataParallel", "module": "$@network_def.to(@device)"},
    "train#sampler": {"_target_": "DistributedSampler", "dataset": "@train#dataset", "shuffle": False},
    "train#dataloader#sampler": "@train#sampler",
    "train#dataloader#batch_size": 2,
    "initialize": ["$import torch.distributed as dist", "$dist.is_initialized() or dist.init_process_group('gloo')"],
}
PLAIN = {
    "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network.parameters()", "lr": 0.1},
}


async def test_a_bundle_in_two_processes(tmp_path: Path, quiet: None) -> None:
    """As one process with the same batches."""
    code, data = write_bundle(tmp_path / "bundle", **PLAIN), write_data(tmp_path / "data")
    order = {"train#dataloader#shuffle": False, "train#dataloader#batch_size": 4}
    still = {"train#augment#transforms#1#prob": 0.0}
    torch.manual_seed(5)
    network = monai_bundle.first_model(monai_bundle.Options(), code)
    bench = Bench(tmp_path, {name: tensor.numpy() for name, tensor in network.state_dict().items()})
    shutil.copytree(code, bench.code, dirs_exist_ok=True)
    (bench.code / "configs" / "multi_gpu_train.json").write_text(json.dumps(TOGETHER))
    request = bench.open(
        "monai_bundle", local_epochs=2, overrides={**order, **still} | {"train#dataloader#batch_size": 2}
    )
    request["site"]["data"] = str(data)
    here = Site("site-1", tmp_path / "alone", code, data)
    alone = monai_bundle.build(monai_bundle.Options(local_epochs=2, overrides={**order, **still}), here)
    update = alone.train(bench.arrays, Task("train", 0, 5, 11, here))
    async with open_worker(bench.spec()) as worker:
        assert await worker.ask(request | {"ranks": 2}) == {"say": "ready"}
        answer = await worker.ask(bench.train())
    assert answer["samples"] == update.samples
    for name, array in bench.result().items():
        np.testing.assert_allclose(array, update.tensors[name], rtol=1e-4, atol=1e-6)
    assert any(not np.allclose(bench.result()[name], bench.arrays[name], atol=1e-4) for name in bench.arrays)


# As people wrote it for Clara: the configuration says whether there are others, and the trainer meets them itself.
OWN = """
import torch.distributed as dist
import torch
from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLConstants, ShareableKey, ShareableValue
from nvflare.apis.shareable import Shareable
from nvflare.apis.trainer import Trainer


class Summing(Trainer):
    def handle_event(self, event_type, fl_ctx):
        if event_type == EventType.START_RUN and fl_ctx.get_prop(FLConstants.ARGS).train_config["multi_gpu"]:
            dist.init_process_group("gloo", init_method="env://")

    def finalize(self, fl_ctx):
        print("finalized", fl_ctx.get_prop(FLConstants.MY_RANK), flush=True)

    def train(self, shareable, fl_ctx, abort_signal):
        rank, several = fl_ctx.get_prop(FLConstants.MY_RANK), fl_ctx.get_prop(FLConstants.MULTI_GPU)
        assert rank == fl_ctx.get_prop(FLConstants.ARGS).local_rank
        total = torch.tensor([rank + 1.0])
        if several:
            dist.all_reduce(total)
        if rank > 0:
            return None
        made = Shareable()
        made[ShareableKey.TYPE] = ShareableValue.TYPE_WEIGHT_DIFF
        made[ShareableKey.MODEL_WEIGHTS] = {"coef_": total.expand(1, 3).numpy(), "intercept_": total.numpy()}
        steps = 10 * fl_ctx.get_prop(FLConstants.NUMBER_OF_GPUS)
        made[ShareableKey.META] = {FLConstants.NUM_STEPS_CURRENT_ROUND: steps}
        return made


class Halved(Filter):
    def process(self, shareable, fl_ctx):
        print("filtered", fl_ctx.get_prop(FLConstants.MY_RANK), flush=True)
        weights = shareable[ShareableKey.MODEL_WEIGHTS]
        shareable[ShareableKey.MODEL_WEIGHTS] = {name: value / 2 for name, value in weights.items()}
        return shareable
"""
LINEAR = {name: array for name, array in FIRST.items() if name != "seen"}


def make_own(folder: Path) -> Path:
    changes = {
        "client client_trainer": {"path": "own.Summing"},
        "server servers 0 num_rounds": 1,
        "client client outbound_filters": [{"path": "own.Halved"}],
    }
    return fill(make_linear(folder, changes), {"custom/own.py": OWN})


async def test_trainers_of_ones_own_on_one_host(tmp_path: Path) -> None:
    """Two clients with two processes each (Clara's fixed port let them clash): every process trains, one answers."""
    benches = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        benches.append(Bench(tmp_path / name, LINEAR))
        make_own(benches[-1].code)
    a, b = benches
    async with open_worker(a.spec()) as one, open_worker(b.spec()) as other:
        for worker, bench in ((one, a), (other, b)):
            assert await worker.ask(opening(bench)) == {"say": "ready"}
        for worker, bench in ((one, a), (other, b)):
            answer = await worker.ask(bench.train())
            assert (answer["steps"], answer["kind"]) == (20.0, "diff")
            assert all((array == (1 + 2) / 2).all() for array in bench.result().values())
    for bench in benches:
        words = [line.rpartition("| ")[2] for line in bench.log.read_text().splitlines()]
        assert sorted(word for word in words if word.startswith("fin")) == ["finalized 0", "finalized 1"]
        assert [word for word in words if word.startswith("filt")] == ["filtered 0"]


async def test_start_mgpu_of_an_mmar_in_a_sandbox(tmp_path: Path) -> None:
    """Nothing of the network is there inside, but what its processes need to meet."""
    job = make_own(tmp_path / "own")
    async with world(tmp_path / "w", {"a": None}) as made:
        (made.workspaces["a"] / FILE).write_text('[worker]\nsandbox = "bubblewrap"\n')
        await made.session.upload(job)
        lines = ["set_run_number 1", "deploy own server", "deploy own client a", "start server"]
        for line in [*lines, "start_mgpu client 2 a"]:
            assert not (await command(made.session, line)).get("problems"), line
        events = await made.ended(1)
        assert events[-1].kind == "run_finished", events[-1].data
        versions = (await made.session.facts("list_models", "1"))["models"]
        assert [one["weight"] for one in versions[-1]["provenance"]["contributors"]] == [20.0]
        log = (made.workspaces["a"] / "run_1" / "a.log").read_text()
        assert "| filtered 0" in log and "| filtered 1" not in log
