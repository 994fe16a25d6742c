"""MMARs for the tests, written here: small, whole, and easy to spoil in one place."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.provision.render import LOG_CONFIG
from tests.jobs.folders import fill

Json = dict[str, Any]

NET: Json = {
    "name": "UNet",
    "args": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]},
}

SERVER: Json = {
    "format_version": 1,
    "servers": [
        {
            "name": "spleen_segmentation",
            "min_num_clients": 1,
            "max_num_clients": 10,
            "wait_after_min_clients": 0,
            "heart_beat_timeout": 600,
            "start_round": 0,
            "num_rounds": 2,
        }
    ],
    "aggregator": {
        "name": "InTimeAccumulateWeightedAggregator",
        "args": {"exclude_vars": "dummy", "aggregation_weights": {"client0": 1, "client1": 1.5}},
    },
    "outbound_filters": [],
    "inbound_filters": [],
    "model_persistor": {"name": "PTFileModelPersistor", "args": {"exclude_vars": "dummy", "model": NET}},
    "shareable_generator": {"name": "FullModelShareableGenerator"},
    "handlers": [{"name": "IntimeModelSelectionHandler"}],
}

CLIENT: Json = {
    "format_version": 1,
    "servers": [{"name": "spleen_segmentation"}],
    "client": {"outbound_filters": [{"name": "ExcludeVars", "args": {"exclude_vars": "dummy"}}], "inbound_filters": []},
    "client_trainer": {
        "path": "medl.apps.fed_learn.trainers.client_trainer.ClientTrainer",
        "args": {"local_epochs": 1, "steps_aggregation": 0, "model_reader_writer": {"name": "PTModelReaderWriter"}},
    },
    "handlers": [],
    "cross_validate": False,
    "cross_site_validation": {
        "is_participating": False,
        "model_validator": {"path": "medl.apps.fed_learn.validators.client_validator.ClientValidator", "args": {}},
    },
}

PRE: list[Json] = [
    {"name": "LoadImaged", "args": {"keys": ["image", "label"]}},
    {"name": "EnsureChannelFirstd", "args": {"keys": ["image", "label"]}},
    {"name": "ScaleIntensityd", "args": {"keys": "image"}},
]

TRAIN: Json = {
    "epochs": 100,
    "num_interval_per_valid": 1,
    "learning_rate": 0.01,
    "multi_gpu": False,
    "amp": False,
    "determinism": {"random_seed": 7},
    "cudnn_benchmark": False,
    "dont_load_ckpt_model": True,
    "train": {
        "loss": {"name": "DiceLoss", "args": {"to_onehot_y": True, "softmax": True}},
        "optimizer": {"name": "Adam", "args": {"lr": "{learning_rate}"}},
        "lr_scheduler": {"name": "StepLR", "args": {"step_size": 100, "gamma": 0.1}},
        "model": NET,
        "pre_transforms": [*PRE, {"name": "RandFlipd", "args": {"keys": ["image", "label"], "prob": 0.5}}],
        "dataset": {
            "name": "CacheDataset",
            "data_list_file_path": "{DATASET_JSON}",
            "data_file_base_dir": "{DATA_ROOT}",
            "data_list_key": "training",
            "args": {"cache_rate": 1.0, "num_workers": 1},
        },
        "dataloader": {"name": "DataLoader", "args": {"batch_size": 2, "shuffle": True, "num_workers": 0}},
        "inferer": {"name": "SimpleInferer"},
        "handlers": [
            {
                "name": "CheckpointLoader",
                "disabled": "{dont_load_ckpt_model}",
                "args": {"load_path": "{MMAR_CKPT}", "load_dict": ["model"]},
            },
            {"name": "LrScheduleHandler", "args": {"print_lr": False}},
            {"name": "ValidationHandler", "args": {"interval": "{num_interval_per_valid}", "epoch_level": True}},
            {
                "name": "StatsHandler",
                "rank": 0,
                "args": {"tag_name": "train_loss", "output_transform": "lambda x: x['loss']"},
            },
        ],
        "post_transforms": [
            {"name": "Activationsd", "args": {"keys": "pred", "softmax": True}},
            {"name": "AsDiscreted", "args": {"keys": ["pred", "label"], "argmax": [True, False], "to_onehot": 2}},
        ],
        "metrics": [
            {
                "name": "MeanDice",
                "log_label": "train_dice",
                "is_key_metric": True,
                "args": {"include_background": False, "output_transform": "lambda x: (x['pred'], x['label'])"},
            }
        ],
        "trainer": {"name": "SupervisedTrainer", "args": {"max_epochs": "{epochs}"}},
    },
    "validate": {
        "pre_transforms": [{"ref": "LoadImaged"}, {"ref": "EnsureChannelFirstd"}, {"ref": "ScaleIntensityd"}],
        "dataset": {
            "name": "Dataset",
            "data_list_file_path": "{DATASET_JSON}",
            "data_file_base_dir": "{DATA_ROOT}",
            "data_list_key": "validation",
        },
        "dataloader": {"name": "DataLoader", "args": {"batch_size": 1, "shuffle": False, "num_workers": 0}},
        "inferer": {"name": "SlidingWindowInferer", "args": {"roi_size": [16, 16], "sw_batch_size": 2}},
        "handlers": [
            {"name": "StatsHandler", "rank": 0, "args": {"output_transform": "lambda x: None"}},
            {
                "name": "CheckpointSaver",
                "rank": 0,
                "args": {"save_dir": "{MMAR_CKPT_DIR}", "save_dict": ["model"], "save_key_metric": True},
            },
        ],
        "post_transforms": [{"ref": "Activationsd"}, {"ref": "AsDiscreted"}],
        "metrics": [
            {
                "name": "MeanDice",
                "log_label": "val_mean_dice",
                "is_key_metric": True,
                "args": {"include_background": False, "output_transform": "lambda x: (x['pred'], x['label'])"},
            },
            {
                "name": "Accuracy",
                "log_label": "val_acc",
                "args": {"output_transform": "lambda x: (x['pred'], x['label'])", "is_multilabel": True},
            },
        ],
        "evaluator": {"name": "SupervisedEvaluator"},
    },
}

VALIDATION: Json = {
    "multi_gpu": False,
    "amp": False,
    "dont_load_ts_model": False,
    "dont_load_ckpt_model": True,
    "model": [
        {"ts_path": "{MMAR_TORCHSCRIPT}", "disabled": "{dont_load_ts_model}"},
        {"ckpt_path": "{MMAR_CKPT}", "disabled": "{dont_load_ckpt_model}"},
        NET,
    ],
    "pre_transforms": PRE,
    "dataset": TRAIN["validate"]["dataset"],
    "dataloader": TRAIN["validate"]["dataloader"],
    "inferer": TRAIN["validate"]["inferer"],
    "handlers": [{"name": "StatsHandler", "rank": 0, "args": {"output_transform": "lambda x: None"}}],
    "post_transforms": TRAIN["train"]["post_transforms"],
    "metrics": TRAIN["validate"]["metrics"],
    "evaluator": {"name": "SupervisedEvaluator"},
}

ENVIRONMENT: Json = {
    "DATA_ROOT": "data",
    "DATASET_JSON": "config/dataset_0.json",
    "PROCESSING_TASK": "segmentation",
    "MMAR_EVAL_OUTPUT_PATH": "eval",
    "MMAR_CKPT_DIR": "models",
}

LIST, EMPTY = "config/dataset_0.json", '{"training": [], "validation": []}'

CONFIGS: Mapping[str, Json] = {
    "config/config_fed_server.json": SERVER,
    "config/config_fed_client.json": CLIENT,
    "config/config_train.json": TRAIN,
    "config/config_validation.json": VALIDATION,
    "config/environment.json": ENVIRONMENT,
}


def make_mmar(folder: Path, changes: Mapping[str, Any] | None = None, files: Mapping[str, str] | None = None) -> Path:
    """An MMAR that is sound but for ``changes``: ``{"server aggregator args exclude_vars": "["}``.

    The first word names the config, the others lead into it (numbers into lists); a value of ``...`` takes it away.
    """
    configs = {name: copy.deepcopy(config) for name, config in CONFIGS.items()}
    for path, value in (changes or {}).items():
        first, *keys = path.split()
        name = next(name for name in configs if first in name.rpartition("/")[2])
        if not keys:
            del configs[name]
            continue
        at: Any = configs[name]
        *inner, last = [int(key) if key.isdigit() else key for key in keys]
        for key in inner:
            at = at[key]
        if value is ...:
            del at[last]
        else:
            at[last] = value
    texts = {name: json.dumps(config, indent=2) for name, config in configs.items()}
    return fill(folder, {**texts, "resources/log.config": LOG_CONFIG, LIST: EMPTY, **(files or {})})


LINEAR = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.coef_ = torch.nn.Parameter(torch.zeros(1, 3))
        self.intercept_ = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.nn.functional.linear(x, self.coef_, self.intercept_)


class Eight(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"image": torch.arange(3.0) * index, "label": torch.tensor([float(index % 2)])}
"""

BOTH = {"output_transform": "lambda x: (x['pred'], x['label'])"}
LINEAR_SECTION: Json = {
    "dataset": {"path": "parts.Eight"},
    "dataloader": {"name": "DataLoader", "args": {"batch_size": 3, "shuffle": True}},
    "metrics": [{"name": "MeanSquaredError", "log_label": "error", "is_key_metric": True, "args": BOTH}],
}


def make_linear(folder: Path, more: Mapping[str, Any] | None = None) -> Path:
    """An MMAR of a linear model on eight made-up cases, whose network and data set stand in ``custom/``."""
    train = {
        "loss": {"name": "BCEWithLogitsLoss"},
        "optimizer": {"name": "SGD", "args": {"lr": 0.1, "momentum": 0.9}},
        "model": {"path": "parts.Net"},
        **LINEAR_SECTION,
        "trainer": {"name": "SupervisedTrainer"},
    }
    changes = {
        "train train": train,
        "train validate": {**LINEAR_SECTION, "evaluator": {"name": "SupervisedEvaluator"}},
        "train determinism": ...,
        "server model_persistor args model": {"path": "parts.Net"},
    }
    return make_mmar(folder, {**changes, **(more or {})}, {"custom/parts.py": LINEAR})


# Code as it was written for Clara 4.0: a trainer, a filter and a handler of one's own.
OWN = """
from nvflare.apis.aggregator import Aggregator
from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLConstants, ShareableKey, ShareableValue
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.trainer import Trainer
from nvflare.common.signal import Signal
from nvflare.utils.fed_utils import generate_failure
from nvflare.utils.fl_ctx_sanity_check import server_fl_ctx_sanity_check


class Stepper(Trainer):
    def __init__(self, step, whole=False, counts=True):
        super().__init__()
        self.step, self.whole, self.counts = step, whole, counts
        self.local_epochs = None  # a name of Clara's trainer, on which this does not build

    def handle_event(self, event_type: str, fl_ctx: FLContext):
        if event_type == EventType.START_RUN:
            self.rate = fl_ctx.get_prop(FLConstants.ARGS).train_config["learning_rate"]

    def train(self, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        if abort_signal.triggered or self.step is None:
            return generate_failure(fl_ctx=fl_ctx, reason="no step")
        weights = shareable[ShareableKey.MODEL_WEIGHTS]
        print("got", float(weights["intercept_"][0]), flush=True)
        made = Shareable()
        made[ShareableKey.TYPE] = ShareableValue.TYPE_WEIGHT_DIFF
        made[ShareableKey.DATA_TYPE] = ShareableValue.DATA_TYPE_UNENCRYPTED
        added = self.step + fl_ctx.get_prop(FLConstants.CURRENT_ROUND)
        made[ShareableKey.MODEL_WEIGHTS] = {k: v + added if self.whole else v * 0 + added for k, v in weights.items()}
        made[ShareableKey.META] = {FLConstants.INITIAL_METRICS: self.rate}
        if self.counts:
            made[ShareableKey.META][FLConstants.NUM_STEPS_CURRENT_ROUND] = 5
        return made


class Largest(Aggregator):
    # The weights of the site that has done most; whoever has done too little is not accepted.

    def __init__(self, least=0, now=False):
        super().__init__()
        self.least, self.now, self.best = least, now, None

    def handle_event(self, event_type, fl_ctx):
        if event_type == EventType.START_ROUND:
            self.best = None

    def accept(self, shareable, fl_ctx):
        server_fl_ctx_sanity_check(fl_ctx)
        steps = shareable[ShareableKey.META][FLConstants.NUM_STEPS_CURRENT_ROUND]
        name = fl_ctx.get_prop(FLConstants.PEER_CONTEXT).get_prop(FLConstants.CLIENT_NAME)
        self.logger.warning("%s did %s", name, steps)
        if self.best is None or steps > self.best[0]:
            self.best = steps, shareable
        return steps > self.least, self.now

    def aggregate(self, fl_ctx):
        return self.best[1]


class Halved(Filter):
    def process(self, shareable, fl_ctx):
        weights = shareable[ShareableKey.MODEL_WEIGHTS]
        shareable[ShareableKey.MODEL_WEIGHTS] = {name: value / 2 for name, value in weights.items()}
        return shareable


class Grumbler(FLComponent):
    def handle_event(self, event_type, fl_ctx):
        if event_type == EventType.END_RUN:
            raise RuntimeError("at its end")

    def finalize(self, fl_ctx):
        raise RuntimeError("in its last call")


class Diary(FLComponent):
    def handle_event(self, event_type, fl_ctx):
        print("event", event_type, fl_ctx.get_prop(FLConstants.CLIENT_NAME), flush=True)

    def finalize(self, fl_ctx):
        print("finalized", flush=True)
"""


def make_own(folder: Path, args: Json, more: Mapping[str, Any] | None = None, code: str = OWN) -> Path:
    """An MMAR of the linear model whose trainer is one of its own."""
    folder = make_linear(folder, {"client client_trainer": {"path": "own.Stepper", "args": args}, **(more or {})})
    return fill(folder, {"custom/own.py": code})


ALONE: Json = {"train train": ..., "train validate": ..., "validation model": []}
for _key in VALIDATION.keys() - {"model"}:
    ALONE[f"validation {_key}"] = ...
"""Changes to an MMAR whose trainer is one of its own: nothing of it is MONAI's, which takes seconds to import."""
