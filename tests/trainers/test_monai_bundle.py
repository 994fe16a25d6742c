"""MONAI bundles as jobs: read, begun, trained and measured by MONAI's own interface for federated learning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.base.errors import BadInput
from rondo.jobs.bundle import with_options
from rondo.jobs.check import check_job
from rondo.jobs.facts import package_facts
from rondo.jobs.job import read_job
from rondo.jobs.task import Site, Task
from rondo.trainers.monai_bundle import BUNDLE, Options, build, first_model
from tests.trainers.bundles import IMAGES, write_bundle, write_data, write_workflows

pytestmark = pytest.mark.filterwarnings("ignore")  # of MONAI and what it imports, which takes them for our errors

Weights = Mapping[str, np.ndarray[Any, Any]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with 2D images, in whose workspace we are."""
    workspace = tmp_path / "work"
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield Site("site-1", workspace, tmp_path / "bundle", write_data(tmp_path / "data"))
    torch.use_deterministic_algorithms(deterministic)


def begin(code: Path) -> Weights:
    torch.manual_seed(5)
    return {name: tensor.numpy() for name, tensor in first_model(Options(), code).state_dict().items()}


def task(site: Site, number: int = 0, seed: int = 3) -> Task:
    return Task("train", number, 5, seed, site)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(np.asarray(one[n]), np.asarray(other[n])) for n in one)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_bundle_just_runs(tmp_path: Path, dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two and three dimensions; it learns, and its own evaluation says so."""
    monkeypatch.chdir(tmp_path)
    code = write_bundle(tmp_path / "bundle", dims)
    site = Site("site-1", tmp_path / "work", code, write_data(tmp_path / "data", dims))
    trainer, model = build(Options(local_epochs=4), site), begin(code)
    assert trainer.evaluates
    samples, before = trainer.validate(model, task(site))
    for number in range(4):
        update = trainer.train(model, task(site, number))
        model = {name: tensor.numpy() for name, tensor in update.tensors.items()}
    assert (samples, update.samples, update.steps, update.kind) == (IMAGES, IMAGES, 2 * 4, "weights")
    assert trainer.validate(model, task(site))[1]["val_mean_dice"] > before["val_mean_dice"] + 0.1
    assert sorted(path.name for path in code.iterdir()) == ["configs"], "the package stays as it came"


def test_equal_inputs_give_equal_bits_also_in_another_worker(site: Site) -> None:
    code = write_bundle(site.code)
    model, trainer = begin(code), build(Options(), site)
    first = trainer.train(model, task(site)).tensors
    assert not same(first, trainer.train(model, task(site, 1, seed=4)).tensors)
    assert same(first, trainer.train(model, task(site)).tensors)
    assert same(first, build(Options(), site).train(model, task(site)).tensors)


def test_an_update_is_a_copy(site: Site) -> None:
    """MONAI's weights alias the network on a CPU."""
    model, trainer = begin(write_bundle(site.code)), build(Options(), site)
    update = trainer.train(model, task(site))
    kept = {name: tensor.clone() for name, tensor in update.tensors.items()}
    trainer.train(model, task(site, 1, seed=4))
    assert same(kept, update.tensors)


def test_a_bundle_that_only_evaluates(site: Site) -> None:
    code = write_bundle(site.code, train=False)
    trainer, model = build(Options(), site), begin(code)
    assert 0.0 <= trainer.validate(model, task(site))[1]["val_mean_dice"] <= 1.0
    with pytest.raises(BadInput, match="bundle: has no training"):
        trainer.train(model, task(site))


def test_a_bundle_without_evaluation_is_trained_unmeasured(site: Site) -> None:
    code = write_bundle(site.code, evaluate=False)
    trainer = build(Options(), site)
    assert not trainer.evaluates and not read_job(code).server.final_validation
    assert trainer.train(begin(code), task(site)).samples == IMAGES


def test_the_difference_of_weights_is_what_training_has_changed(site: Site) -> None:
    code = write_bundle(site.code)
    model = begin(code)
    whole = build(Options(), site).train(model, task(site))
    change = build(Options(send_weight_diff=True), site).train(model, task(site))
    assert (whole.kind, change.kind, change.samples) == ("weights", "diff", IMAGES)
    assert change.tensors.keys() == model.keys() and all(change.tensors[name].any() for name in model)
    for name in model:
        np.testing.assert_allclose(model[name] + change.tensors[name].numpy(), whole.tensors[name], atol=1e-6)


BY_PYTHON = {
    "train_workflow": "bundle_work:Train",
    "eval_workflow": "bundle_work:Evaluate",
    "args": {"channels": [4, 8]},
}


def test_a_bundle_whose_workflow_is_a_class_trains_and_is_measured(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MONAI's ``PythonicWorkflow`` has it: the server makes its network without data, a site has its own."""
    code = write_workflows(site.code)
    monkeypatch.syspath_prepend(str(code))
    options = Options(local_epochs=3, **BY_PYTHON)
    torch.manual_seed(5)
    model = {name: tensor.numpy() for name, tensor in first_model(options, code).state_dict().items()}
    trainer = build(options, site)
    samples, before = trainer.validate(model, task(site))
    update = trainer.train(model, task(site))
    assert (samples, update.samples, update.steps, update.kind) == (IMAGES, IMAGES, 2 * 3, "weights")
    after = {name: tensor.numpy() for name, tensor in update.tensors.items()}
    assert trainer.validate(after, task(site))[1]["val_mean_dice"] > before["val_mean_dice"]
    assert same(update.tensors, build(options, site).train(model, task(site)).tensors)
    with pytest.raises(BadInput, match="train_workflow: module 'bundle_work' has no 'Tran'"):
        build(Options(train_workflow="bundle_work:Tran"), site)


ALGO = """
import torch
from monai.fl.client import ClientAlgo
from monai.fl.utils.constants import FlStatistics, WeightType
from monai.fl.utils.exchange_object import ExchangeObject


class Algo(ClientAlgo):
    def __init__(self, step=1.0):
        self.step = step

    def initialize(self, extra=None):
        self.extra = {str(key.value): value for key, value in extra.items()}
        self.trainer = self.evaluator = self  # its own affair

    def train(self, data, extra=None):
        self.weights = {name: torch.full_like(value, self.step) for name, value in data.weights.items()}

    def get_weights(self, extra=None):
        return ExchangeObject(weights=self.weights, weight_type=WeightType.WEIGHT_DIFF,
                              statistics={FlStatistics.NUM_EXECUTED_ITERATIONS: 7})

    def evaluate(self, data, extra=None):
        mean = torch.stack([value.mean() for value in data.weights.values()]).mean()
        return ExchangeObject(metrics={"mean": mean, "text": "no number", "many": torch.ones(3)})
"""


def test_a_class_of_the_job_may_be_the_algorithm(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences of weights, and iterations where nobody counts cases."""
    site.code.mkdir()
    (site.code / "own_algo.py").write_text(ALGO)
    monkeypatch.syspath_prepend(str(site.code))
    trainer = build(Options(algo="own_algo:Algo", args={"step": 0.5}), site)
    model = {"w": np.ones((2, 3), np.float32)}
    update = trainer.train(model, task(site))
    assert (update.kind, update.samples, update.steps) == ("diff", 7.0, 7.0)
    assert (update.tensors["w"] == 0.5).all()
    assert trainer.evaluates and trainer.validate(model, task(site)) == (1.0, {"mean": 1.0})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model.pop(min(model)), "the model received has no tensor 'model"),
        (lambda model: model.update(more=np.ones(1, "f4")), "the bundle's network has no tensor 'more'"),
        (
            lambda model: model.update({min(model): np.ones(9, "f4")}),
            r"'model.* in the bundle's network, \(9,\) in",
        ),
    ],
)
def test_a_model_of_another_network_is_refused_by_name(site: Site, change: Any, said: str) -> None:
    """MONAI would take what fits."""
    model, trainer = dict(begin(write_bundle(site.code))), build(Options(), site)
    change(model)
    for do in (trainer.train, trainer.validate):
        with pytest.raises(BadInput, match=said):
            do(model, task(site))


def test_values_of_the_configuration_may_be_overridden(site: Site) -> None:
    code = write_bundle(site.code)
    options = Options(overrides={"images": ["{data}/image_0.npy"], "labels": ["{data}/mask_0.npy"]})
    assert build(options, site).train(begin(code), task(site)).samples == 1


def test_what_a_bundle_writes_stays_in_the_workspace(site: Site) -> None:
    save = {
        "_target_": "CheckpointSaver",
        "save_dir": "@ckpt_dir",
        "save_dict": {"model": "@network"},
        "save_final": True,
    }
    code = write_bundle(site.code, handlers=[save])
    config = json.loads((code / "configs" / "train.json").read_text())
    config["train"]["trainer"]["train_handlers"] = "@handlers"
    (code / "configs" / "train.json").write_text(json.dumps(config))
    build(Options(), site).train(begin(code), task(site))
    assert (site.workspace / BUNDLE / "models").is_dir() and not (code / "models").exists()


def test_processes_that_train_together_have_each_a_copy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one would take away what another one reads."""
    write_bundle(site.code)
    build(Options(), site)
    (site.workspace / BUNDLE / "mine").touch()
    monkeypatch.setenv("RANK", "1")
    build(Options(), site)
    assert (site.workspace / BUNDLE / "mine").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput, match=r"several processes train its network \(configs/multi_gpu_train\.json would"):
        build(Options(), site)


# ---- as a job -------------------------------------------------------------------------------------------------------


def test_a_bundle_folder_is_a_job(tmp_path: Path) -> None:
    code = write_bundle(tmp_path / "b")
    job = read_job(code)
    check_job(job, code)
    assert (job.name, job.server.num_rounds, job.model.trainer) == ("shapes-2d", 10, True)
    assert (job.client.trainer.name, job.server.final_validation) == ("monai_bundle", True)
    assert package_facts(code).byoc, "a bundle's configuration is code"


def test_it_begins_with_its_own_weights(tmp_path: Path) -> None:
    code = write_bundle(tmp_path / "b")
    (code / "models").mkdir()
    (code / "models" / "model.pt").write_bytes(b"")
    assert read_job(code).model.file == "models/model.pt"


def test_a_bundle_may_be_given_options(tmp_path: Path) -> None:
    code = write_bundle(tmp_path / "b")
    copy = with_options(code, tmp_path / "copy", rounds=3, local_epochs=2)
    job = read_job(copy)
    check_job(job, copy)
    assert (copy.name, job.server.num_rounds, job.client.trainer.options) == ("b", 3, {"local_epochs": 2})
    with pytest.raises(BadInput, match="the bundle has its own"):
        with_options(copy, tmp_path / "again", rounds=4)
    with pytest.raises(BadInput, match="are options of MONAI bundles"):
        with_options(tmp_path, tmp_path / "again", rounds=4)


@pytest.mark.parametrize("meta", ["{", "[]"])
def test_metadata_that_is_no_object_is_told(tmp_path: Path, meta: str) -> None:
    code = write_bundle(tmp_path / "b")
    (code / "configs" / "metadata.json").write_text(meta)
    with pytest.raises(BadInput, match=r"configs/metadata.json: (is no JSON|must be a JSON object)"):
        read_job(code)


def test_a_network_under_another_name_is_asked_for(tmp_path: Path) -> None:
    code = write_bundle(tmp_path / "b")
    for name in ("train", "evaluate"):
        path = code / "configs" / f"{name}.json"
        path.write_text(path.read_text().replace("network", "netz"))
    with pytest.raises(BadInput, match=r"no network under network_def, network, net \(name a file under"):
        first_model(Options(), code)
    with pytest.raises(BadInput, match="neither configs/train nor configs/evaluate"):
        first_model(Options(), tmp_path)
