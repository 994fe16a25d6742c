"""The trainer of MMARs beside MONAI itself: the same parts and the same seed give the same weights."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.base.errors import BadInput
from rondo.jobs.task import Site, Task
from rondo.trainers import mmar
from tests.mmar.folders import NET, TRAIN, make_mmar
from tests.mmar.images import add_images

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MONAI warns of what is not installed, and files are written where a worker would stand."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def site(folder: Path, data: Path | None = None) -> Site:
    return Site("site-1", folder / "work", folder / "mmar", data)


def task(folder: Path, round_number: int = 0, seed: int = 5) -> Task:
    return Task("train", round_number, 3, seed, site(folder))


def imaged(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    return add_images(make_mmar(folder / "mmar", changes))


def start(folder: Path) -> Arrays:
    torch.manual_seed(1)
    return {
        name: value.numpy() for name, value in mmar.first_model(mmar.Options(), folder / "mmar").state_dict().items()
    }


def trained(folder: Path, model: Arrays, rounds: int = 1, **options: Any) -> Arrays:
    """The weights after so many rounds alone."""
    trainer = mmar.build(mmar.Options(**options), site(folder))
    for number in range(rounds):
        update = trainer.train(model, task(folder, number, seed=5 + number))
        assert update.kind == "diff"
        model = {name: model[name] + update.tensors[name].numpy() for name in model}
    return model


def by_monai(folder: Path, model: Arrays, seed: int, epochs: int) -> Arrays:
    """What the config describes, written down with MONAI's own words."""
    from monai import transforms as t
    from monai.data import CacheDataset, DataLoader, Dataset, load_decathlon_datalist
    from monai.engines import SupervisedEvaluator, SupervisedTrainer
    from monai.handlers import ValidationHandler
    from monai.inferers import SlidingWindowInferer
    from monai.losses import DiceLoss
    from monai.networks.nets import UNet
    from monai.utils import set_determinism

    net = UNet(**NET["args"])
    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in model.items()})
    both = ["image", "label"]
    steps = [t.LoadImaged(both), t.EnsureChannelFirstd(both), t.ScaleIntensityd("image"), t.RandFlipd(both, prob=0.5)]
    listed, data = folder / "mmar/config/dataset_0.json", folder / "mmar/data"
    cases, held_out = (load_decathlon_datalist(listed, True, key, data) for key in ("training", "validation"))
    dataset = CacheDataset(cases, t.Compose(steps), cache_rate=1.0, num_workers=1)
    device = torch.device("cpu")
    loader = DataLoader(Dataset(held_out, t.Compose(steps[:3])), batch_size=1, num_workers=0)
    evaluator = SupervisedEvaluator(device, loader, net, inferer=SlidingWindowInferer([16, 16], 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    set_determinism(seed)
    SupervisedTrainer(
        device=device,
        max_epochs=epochs,
        train_data_loader=DataLoader(dataset, batch_size=2, shuffle=True, num_workers=0),
        network=net,
        optimizer=optimizer,
        loss_function=DiceLoss(to_onehot_y=True, softmax=True),
        train_handlers=[ValidationHandler(1, evaluator)],  # it, too, takes of the chance there is
    ).run()
    return {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("epochs", [1, 3])
def test_one_round_gives_the_weights_that_monai_alone_gives(tmp_path: Path, epochs: int) -> None:
    imaged(tmp_path)
    first = start(tmp_path)
    ours, monais = trained(tmp_path, first, local_epochs=epochs), by_monai(tmp_path, first, 5, epochs)
    for name in first:
        np.testing.assert_allclose(ours[name], monais[name], rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(ours[name], first[name], atol=1e-3) for name in first)
    others = by_monai(tmp_path, first, 6, epochs)
    assert any(not np.allclose(ours[name], others[name], atol=1e-5) for name in first)


def test_a_new_worker_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    """Adam remembers: two rounds in one worker are the same bits as a round in each of two."""
    imaged(tmp_path)
    first = start(tmp_path)
    twice = trained(tmp_path, first, rounds=2)
    for file in (tmp_path / "work").glob("mmar_state_*"):
        file.unlink()
    once = trained(tmp_path, first)
    update = mmar.build(mmar.Options(), site(tmp_path)).train(once, task(tmp_path, 1, seed=6))
    assert all(np.array_equal(once[name] + update.tensors[name].numpy(), twice[name]) for name in first)
    (tmp_path / "work" / "mmar_state_0.pt").unlink()
    forgetful = mmar.build(mmar.Options(), site(tmp_path)).train(once, task(tmp_path, 1, seed=6))
    assert any(not torch.equal(forgetful.tensors[name], update.tensors[name]) for name in first)


def test_iterations_in_the_place_of_epochs(tmp_path: Path) -> None:
    imaged(tmp_path)
    trainer = mmar.build(mmar.Options(local_epochs=7, steps_aggregation=5), site(tmp_path))
    update = trainer.train(start(tmp_path), task(tmp_path))
    assert (update.samples, update.steps) == (4.0, 5.0)


def test_the_best_local_model_is_kept(tmp_path: Path) -> None:
    imaged(tmp_path)
    trained(tmp_path, start(tmp_path), rounds=2)
    found = torch.load(tmp_path / "mmar/models/local_best_model.pt", weights_only=True)
    assert set(found) == {"model", "train_conf", "key_metric"}
    assert 0 < found["key_metric"] <= 1
    assert any((tmp_path / "mmar/models").glob("model_key_metric=*.pt"))  # what the CheckpointSaver of the config wrote
    # A worker that comes later does not take a worse one for the best.
    found["key_metric"] = 2.0
    torch.save(found, tmp_path / "mmar/models/local_best_model.pt")
    trained(tmp_path, start(tmp_path))
    assert torch.load(tmp_path / "mmar/models/local_best_model.pt", weights_only=True)["key_metric"] == 2.0


EXPLICIT = {
    **TRAIN,
    "CLARA_TRAIN_VERSION": "4.1.0",
    "train": {
        **{key: TRAIN["train"][key] for key in ("loss", "model", "pre_transforms", "inferer", "post_transforms")},
        "optimizer": {"name": "Adam", "args": {"params": "#@model.parameters()", "lr": "{learning_rate}"}},
        "lr_scheduler": {"name": "StepLR", "args": {"optimizer": "@optimizer", "step_size": "#50 * 2"}},
        "dataset": {**TRAIN["train"]["dataset"], "args": {"transform": "@pre_transforms", "num_workers": 1}},
        "dataloader": {"name": "DataLoader", "args": {"dataset": "@dataset", "batch_size": 2, "shuffle": True}},
        "handlers": [
            {"name": "ValidationHandler", "args": {"validator": "@evaluator", "interval": 1, "epoch_level": True}},
            {"name": "LrScheduleHandler", "args": {"lr_scheduler": "@lr_scheduler", "print_lr": False}},
            {
                "name": "StatsHandler",
                "args": {"output_transform": "#monai.handlers.from_engine(['loss'], first=True)"},
            },
        ],
        "key_metric": {
            "name": "MeanDice",
            "log_label": "train_dice",
            "args": {"output_transform": "#monai.handlers.from_engine(['pred', 'label'])"},
        },
        "trainer": {
            "name": "SupervisedTrainer",
            "args": {
                "max_epochs": "{epochs}",
                "device": "@device",
                "train_data_loader": "@dataloader",
                "network": "@model",
                "loss_function": "@loss",
                "optimizer": "@optimizer",
                "inferer": "@inferer",
                "postprocessing": "@post_transforms",
                "key_train_metric": "@key_metric",
                "train_handlers": "@handlers",
            },
        },
    },
    "validate": {
        **{key: TRAIN["validate"][key] for key in ("pre_transforms", "dataset", "dataloader", "inferer")},
        "post_transforms": TRAIN["validate"]["post_transforms"],
        "key_metric": {
            "name": "MeanDice",
            "log_label": "val_mean_dice",
            "args": {
                "include_background": False,
                "output_transform": "#monai.handlers.from_engine(['pred', 'label'])",
            },
        },
        "additional_metrics": [
            {
                "name": "HausdorffDistance",
                "log_label": "val_distance",
                "args": {"output_transform": "#monai.handlers.from_engine(['pred', 'label'])"},
            }
        ],
        "evaluator": {
            "name": "SupervisedEvaluator",
            "args": {"val_data_loader": "@dataloader", "network": "@model", "key_val_metric": "@key_metric"},
        },
    },
}


def test_the_wiring_of_4_1_gives_the_same_as_that_of_4_0(tmp_path: Path) -> None:
    imaged(tmp_path)
    first = start(tmp_path)
    implicit = trained(tmp_path, first)
    metrics = mmar.build(mmar.Options(), site(tmp_path)).validate(first, task(tmp_path))
    other = tmp_path / "other"
    (other / "work").mkdir(parents=True)
    imaged(other)
    (other / "mmar/config/config_train.json").write_text(json.dumps(EXPLICIT))
    explicit = trained(other, first)
    assert all(np.array_equal(implicit[name], explicit[name]) for name in first)
    samples, measured = mmar.build(mmar.Options(), site(other)).validate(first, task(other))
    assert (samples, measured["val_mean_dice"]) == (metrics[0], metrics[1]["val_mean_dice"])
    assert set(measured) == {"val_mean_dice", "val_distance"}


OLD = {
    "train model args": {
        **{key: value for key, value in NET["args"].items() if key != "spatial_dims"},
        "dimensions": 2,
    },
    "train pre_transforms 0 name": "LoadNiftid",
    "train pre_transforms 1": {"name": "AddChanneld", "args": {"keys": ["image", "label"]}},
    "train post_transforms 1 args": {
        "keys": ["pred", "label"],
        "argmax": [True, False],
        "to_onehot": True,
        "n_classes": 2,
    },
    "validate pre_transforms 1": {"ref": "AddChanneld"},
    "validate pre_transforms 0": {"ref": "LoadNiftid"},
}


def test_arguments_that_monai_has_renamed_are_translated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imaged(tmp_path)
    first = start(tmp_path)
    new = trained(tmp_path, first)
    capsys.readouterr()
    other = tmp_path / "other"
    (other / "work").mkdir(parents=True)
    imaged(other, {f"train {key}": copy.deepcopy(value) for key, value in OLD.items()})
    old = trained(other, first)
    assert all(np.array_equal(new[name], old[name]) for name in first)
    told = capsys.readouterr().err
    for said in (
        "UNet: dimensions is spatial_dims in today's MONAI",
        "LoadNiftid is LoadImaged in today's MONAI",
        "AddChanneld is EnsureChannelFirstd in today's MONAI",
        "AsDiscreted: to_onehot is the number of classes in today's MONAI, n_classes is gone",
    ):
        assert told.count(said) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train model name": "UNett"}, "no model 'UNett' in monai, torch or ignite (did you mean 'UNet'?)"),
        ({"train model args chanels": 3}, "UNet has no argument 'chanels' (it takes spatial_dims, in_channels"),
        ({"train model args channels": ...}, "UNet: missing a required argument: 'channels'"),
        ({"train model args strides": []}, "UNet: ValueError"),
        ({"train model": ...}, "config/config_train.json:1:1: model is missing"),
        ({"train optimizer args lr": "{RATE}"}, "{RATE} is not defined"),
        ({"train loss": {"path": "os.system"}}, "'os.system' may not be used here, or there is none"),
        ({"train loss": {"path": "torch.hub.load"}}, "'torch.hub.load' may not be used by a configuration"),
        ({"train loss": {"path": "parts.Loss"}}, "'parts.Loss' may not be used here, or there is none"),
        ({"train loss": {"path": "monai.losses.Nothing"}}, "module 'monai.losses' has no 'Nothing'"),
        ({"train handlers 3 args output_transform": "lambda x: open('a')"}, "the name 'open' is not allowed"),
        ({"validate post_transforms 0": {"ref": "Nothing"}}, "ref names 'Nothing', which train's post_transforms"),
        ({"train dataset data_list_key": "nothing"}, "Data list nothing not specified"),
        ({"train dataset data_list_file_path": "config/none.json"}, "no data list"),
    ],
)
def test_what_cannot_be_made_is_told_at_its_place(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    imaged(tmp_path, {f"train {key}": value for key, value in changes.items()})
    with pytest.raises(BadInput) as caught:
        mmar.build(mmar.Options(), site(tmp_path))
    assert says in str(caught.value)
    assert str(caught.value).startswith("config/config_train.json:")


def test_a_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    imaged(tmp_path)
    first, trainer = start(tmp_path), mmar.build(mmar.Options(), site(tmp_path))
    name = next(iter(first))
    with pytest.raises(BadInput, match="the network has no 'other'"):
        trainer.train({**first, "other": first[name]}, task(tmp_path))
    with pytest.raises(BadInput, match=r"has shape \(1,\) at the server"):
        trainer.train({**first, name: np.zeros(1, np.float32)}, task(tmp_path))


def test_the_site_chooses_where_its_data_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = {"environment DATA_ROOT": "/clara/data", "environment DATASET_JSON": "/clara/data/dataset_0.json"}
    folder = imaged(tmp_path, away)
    (folder / "data").rename(tmp_path / "mine")
    (folder / "config/dataset_0.json").rename(tmp_path / "mine/dataset_0.json")
    here = replace(site(tmp_path), data=tmp_path / "mine")
    assert mmar.build(mmar.Options(), here).train(start(tmp_path), task(tmp_path)).samples == 4.0
    told = capsys.readouterr().err
    assert f"DATA_ROOT is '{tmp_path / 'mine'}', which this site has chosen, not '/clara/data'" in told
    assert "DATASET_JSON is" in told


def test_faq_T3_a_list_that_is_not_at_the_server_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    changes = {"environment PROCESSING_TASK": "classification", "environment DATASET_JSON": "/not/here.json"}
    make_mmar(tmp_path / "mmar", changes)
    with pytest.raises(BadInput, match=r"DATASET_JSON names '/not/here\.json', which is not on this machine"):
        mmar.first_model(mmar.Options(), tmp_path / "mmar")


def test_what_stands_beside_a_component(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Handlers of other ranks are not made, and nobody but the server brings a model."""
    changes = {
        "train train handlers 0 disabled": False,
        "environment MMAR_CKPT": "models/FL_global_model.pt",
        "train train handlers 3 rank": 1,
        "train train handlers 3 args": {"nonsense": 1},
    }
    imaged(tmp_path, changes)
    make_first = imaged(tmp_path / "plain").parent
    (make_first / "work").mkdir()
    first = start(make_first)
    assert mmar.build(mmar.Options(), site(tmp_path)).train(first, task(tmp_path)).steps == 2.0
    assert "CheckpointLoader: left out, the model comes from the server" in capsys.readouterr().err


def test_another_s_model_is_measured_as_the_validation_config_says(tmp_path: Path) -> None:
    """Clara's ClientValidator; what that config says of models to load does not matter (spec 5.7, 8.7)."""
    changes = {
        "client cross_validate": True,
        "client cross_site_validation is_participating": True,
        "validation metrics 0 log_label": "cross_dice",
        "validation dataset data_list_key": "training",
    }
    imaged(tmp_path, changes)
    first, trainer = start(tmp_path), mmar.build(mmar.Options(), site(tmp_path))
    samples, last = trainer.validate(first, replace(task(tmp_path, 3), kind="validate"))
    assert (samples, set(last)) == (2.0, {"val_mean_dice", "val_acc"})
    samples, measured = trainer.validate(first, replace(task(tmp_path, 4), kind="validate"))
    assert (samples, set(measured)) == (4.0, {"cross_dice", "val_acc"})
