"""The trainer ``torch``: a module goes in and out as arrays, whatever its dtypes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.jobs.task import Site, Task
from rondo.tensors.files import TensorFile
from rondo.trainers.torch import Options, TorchTrainer, build
from rondo.worker.handing import write_tensors

JOB = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = torch.nn.Linear(3, width).to(torch.bfloat16)
        self.norm = torch.nn.BatchNorm1d(width)
        self.last = torch.nn.Linear(width, 1)
        self.register_buffer("mask", torch.ones(width, dtype=torch.bool))
    def forward(self, x):
        return self.last(self.norm(self.first(x.to(torch.bfloat16)).float()))

def data(site):
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(12, 3, generator=generator)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1)), batch_size=4, shuffle=True)

def train(net, loader, task):
    assert net.training
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in loader:
        loss = ((net(x).squeeze(1) - y) ** 2).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return {"loss": loss}

def validate(net, task):
    assert not net.training and not torch.is_grad_enabled()
    return 12, {"norm": net.last.weight.norm()}

def only_metrics(net, task): return {"one": 1.0}
def number(net, task): return 0.5
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "netjob.py").write_text(JOB)
    monkeypatch.syspath_prepend(tmp_path)
    yield Site("site-1", tmp_path, tmp_path)
    sys.modules.pop("netjob", None)


def trainer(site: Site, **more: Any) -> TorchTrainer:
    options = {"model": "netjob:Net", "data": "netjob:data", "train": "netjob:train", "args": {"width": 4}, **more}
    return build(decode(Options, options, "trainer torch"), site)


@pytest.fixture
def model(site: Site, tmp_path: Path) -> Iterator[TensorFile]:
    from netjob import Net  # type: ignore[import-not-found]

    torch.manual_seed(0)
    write_tensors(Net(4).state_dict(), tmp_path / "model")
    with TensorFile(tmp_path / "model") as file:
        yield file


def test_a_round_keeps_names_shapes_and_dtypes(site: Site, model: TensorFile, tmp_path: Path) -> None:
    update = trainer(site, epochs=2).train(model, Task("train", 0, 1, 7, site))
    assert update.samples == 12 and set(update.local_metrics) == {"loss"}
    write_tensors(update.tensors, tmp_path / "out", model=model.layout)
    with TensorFile(tmp_path / "out") as out:
        assert out.layout.schema() == model.layout.schema()
        assert out["norm.num_batches_tracked"] == 6 and model["norm.num_batches_tracked"] == 0
        assert not np.array_equal(out["first.weight"], model["first.weight"])


def test_equal_seeds_give_equal_bits_and_the_update_is_a_copy(site: Site, model: TensorFile) -> None:
    one = trainer(site)
    first = one.train(model, Task("train", 0, 1, 7, site)).tensors
    kept = {name: value.clone() for name, value in first.items()}
    other = one.train(model, Task("train", 0, 1, 8, site)).tensors
    again = one.train(model, Task("train", 0, 1, 7, site)).tensors
    assert all(torch.equal(first[name], kept[name]) and torch.equal(again[name], kept[name]) for name in kept)
    assert not torch.equal(other["last.weight"], kept["last.weight"])


def test_validation_measures_the_model_received(site: Site, model: TensorFile) -> None:
    one = trainer(site, validate="netjob:validate")
    samples, metrics = one.validate(model, Task("validate", 0, 1, 7, site))
    assert one.evaluates and samples == 12
    assert float(metrics["norm"]) == pytest.approx(float(np.linalg.norm(model["last.weight"])), rel=1e-6)
    assert trainer(site, validate="netjob:only_metrics").validate(model, Task("validate", 0, 1, 7, site))[0] == 1.0


def test_what_is_not_there_is_named(site: Site, model: TensorFile) -> None:
    with pytest.raises(BadInput, match="train: module 'netjob' has no 'trian'"):
        trainer(site, train="netjob:trian")
    with pytest.raises(BadInput, match="epochs must be 1 or more"):
        trainer(site, epochs=0)
    assert not trainer(site).evaluates
    with pytest.raises(BadInput, match="names no function to validate with"):
        trainer(site).validate(model, Task("validate", 0, 1, 7, site))
    with pytest.raises(BadInput, match="validate: must return"):
        trainer(site, validate="netjob:number").validate(model, Task("validate", 0, 1, 7, site))
    with pytest.raises(RuntimeError, match="Missing key"):
        trainer(site).train({"last.bias": model["last.bias"]}, Task("train", 0, 1, 7, site))
