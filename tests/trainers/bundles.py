"""MONAI bundles, written by us: a small U-Net on shapes that MONAI itself draws, in two or three dimensions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 4  # at each site


def write_data(folder: Path, dims: int = 2, seed: int = 0) -> Path:
    """Images and masks as .npy files, by ``monai.data.create_test_image_2d`` or ``_3d``."""
    from monai.data import create_test_image_2d, create_test_image_3d

    folder.mkdir(parents=True, exist_ok=True)
    make = create_test_image_2d if dims == 2 else create_test_image_3d
    for number in range(IMAGES):
        state = np.random.RandomState(seed + number)
        image, mask = make(*[32] * dims, num_objs=2, rad_max=8, num_seg_classes=1, random_state=state)
        np.save(folder / f"image_{number}.npy", image.astype("f4"))
        np.save(folder / f"mask_{number}.npy", (mask > 0).astype("f4"))
    return folder


def write_bundle(folder: Path, dims: int = 2, *, train: bool = True, evaluate: bool = True, **more: Any) -> Path:
    """``more``: values of the training configuration, by id."""
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps({"name": f"Shapes {dims}D", "version": "0.1.0"}))
    if train:
        (folder / "configs" / "train.json").write_text(json.dumps(_train(dims) | more, indent=1))
    if evaluate:
        shared = {} if train else _shared(dims)
        (folder / "configs" / "evaluate.json").write_text(json.dumps(shared | _evaluate(alone=not train), indent=1))
    return folder


def _shared(dims: int) -> dict[str, Any]:
    net = {"spatial_dims": dims, "in_channels": 1, "out_channels": 1, "channels": [4, 8], "strides": [2]}
    load = [
        {"_target_": "LoadImaged", "keys": ["image", "label"], "reader": "NumpyReader"},
        {"_target_": "EnsureChannelFirstd", "keys": ["image", "label"], "channel_dim": "no_channel"},
    ]
    after = [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
    ]
    return {
        "bundle_root": ".",
        "ckpt_dir": "$@bundle_root + '/models'",
        "dataset_dir": "/nowhere",
        "device": "$torch.device('cpu')",
        "network_def": {"_target_": "UNet", **net},
        "network": "$@network_def.to(@device)",
        "imports": ["$import glob", "$import torch", "$import monai"],
        "images": "$sorted(glob.glob(@dataset_dir + '/image_*.npy'))",
        "labels": "$sorted(glob.glob(@dataset_dir + '/mask_*.npy'))",
        "cases": "$[{'image': i, 'label': l} for i, l in zip(@images, @labels)]",
        "load": {"_target_": "Compose", "transforms": load},
        "post": {"_target_": "Compose", "transforms": after},
    }


def _train(dims: int) -> dict[str, Any]:
    flip = {"_target_": "RandFlipd", "keys": ["image", "label"], "prob": 0.5, "spatial_axis": 0}
    return _shared(dims) | {
        "optimizer": {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": 0.01},
        "loss": {"_target_": "DiceLoss", "sigmoid": True},
        "train": {
            "augment": {"_target_": "Compose", "transforms": ["$@load", flip]},
            "dataset": {"_target_": "CacheDataset", "data": "@cases", "transform": "@train#augment", "progress": False},
            "dataloader": {"_target_": "DataLoader", "dataset": "@train#dataset", "batch_size": 2, "shuffle": True},
            "inferer": {"_target_": "SimpleInferer"},
            "trainer": {
                "_target_": "SupervisedTrainer", "max_epochs": 1, "device": "@device",
                "train_data_loader": "@train#dataloader", "network": "@network", "loss_function": "@loss",
                "optimizer": "@optimizer", "inferer": "@train#inferer",
            },
        },
        "initialize": ["$torch.manual_seed(0)"],
        "run": ["$@train#trainer.run()"],
    }  # fmt: skip


def _evaluate(alone: bool) -> dict[str, Any]:
    return {
        "validate": {
            "dataset": {"_target_": "Dataset", "data": "@cases", "transform": "@load"},
            "dataloader": {"_target_": "DataLoader", "dataset": "@validate#dataset", "batch_size": 1},
            "inferer": {"_target_": "SimpleInferer"},
            "metric": {
                "_target_": "MeanDice", "include_background": True,
                "output_transform": "$monai.handlers.from_engine(['pred', 'label'])",
            },
            "evaluator": {
                "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@validate#dataloader",
                "network": "@network", "inferer": "@validate#inferer", "postprocessing": "@post",
                "key_val_metric": {"val_mean_dice": "@validate#metric"},
            },
        },
        "evaluator": "$@validate#evaluator",
        **({"run": ["$@validate#evaluator.run()"]} if alone else {}),
    }  # fmt: skip


WORKFLOWS = """
from glob import glob

import torch
from monai.bundle import PythonicWorkflow
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanDice, from_engine
from monai.inferers import SimpleInferer
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from monai.transforms import Activationsd, AsDiscreted, Compose, EnsureChannelFirstd, LoadImaged

BOTH = ["image", "label"]
STEPS = [LoadImaged(BOTH, reader="NumpyReader"), EnsureChannelFirstd(BOTH, channel_dim="no_channel")]
POST = [Activationsd("pred", sigmoid=True), AsDiscreted("pred", threshold=0.5)]


class Shapes(PythonicWorkflow):
    kind = "train"

    def __init__(self, channels):
        super().__init__(workflow_type=self.kind, meta_file="configs/metadata.json")
        self.channels = channels

    def get_bundle_root(self):
        return "."

    def get_device(self):
        return torch.device("cpu")

    def get_network_def(self):
        return UNet(spatial_dims=2, in_channels=1, out_channels=1, channels=self.channels, strides=[2])

    def loader(self, **more):
        images, labels = (sorted(glob(self.dataset_dir + pattern)) for pattern in ("/image_*.npy", "/mask_*.npy"))
        cases = [{"image": image, "label": label} for image, label in zip(images, labels)]
        return DataLoader(Dataset(cases, Compose(STEPS)), **more)

    def run(self):
        pass

    def finalize(self):
        pass


class Train(Shapes):
    def get_trainer(self):
        network = self.network_def
        return SupervisedTrainer(
            device=self.device, max_epochs=self.max_epochs, train_data_loader=self.loader(batch_size=2, shuffle=True),
            network=network, optimizer=torch.optim.Adam(network.parameters(), lr=0.01),
            loss_function=DiceLoss(sigmoid=True), inferer=SimpleInferer(),
        )


class Evaluate(Shapes):
    kind = "infer"

    def get_evaluator(self):
        return SupervisedEvaluator(
            device=self.device, val_data_loader=self.loader(), network=self.network_def, inferer=SimpleInferer(),
            postprocessing=Compose(POST),
            key_val_metric={"val_mean_dice": MeanDice(output_transform=from_engine(["pred", "label"]))},
        )
"""


def write_workflows(folder: Path) -> Path:
    """A bundle in Python: ``bundle_work:Train`` and ``bundle_work:Evaluate``, called with ``channels``."""
    write_bundle(folder, train=False, evaluate=False)
    (folder / "bundle_work.py").write_text(WORKFLOWS)
    return folder
