"""Components for a client as they were written for Clara 4.0, beside those of ``OWN``: they run unedited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.jobs.folders import fill
from tests.mmar.folders import make_linear, make_own

PARTS = """
from medl.apps.fed_learn.trainers.client_trainer import ClientTrainer
from medl.apps.fed_learn.validators.client_validator import ClientValidator
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLConstants
from nvflare.apis.shareable import Shareable, ShareableKey, ShareableValue
from nvflare.apis.validator import Validator


class Doubled(Filter):
    def process(self, shareable, fl_ctx):
        weights = shareable[ShareableKey.MODEL_WEIGHTS]
        shareable[ShareableKey.MODEL_WEIGHTS] = {name: value * 2 for name, value in weights.items()}
        return shareable


class Less(Filter):
    def process(self, shareable, fl_ctx):
        del shareable[ShareableKey.MODEL_WEIGHTS]["intercept_"]
        return shareable


class Largest(Validator):
    def validate(self, shareable, fl_ctx, abort_signal):
        assert shareable[ShareableKey.TYPE] == ShareableValue.TYPE_WEIGHTS and not abort_signal.triggered
        made = Shareable()
        made[ShareableKey.TYPE] = ShareableValue.TYPE_METRICS
        weights = shareable[ShareableKey.MODEL_WEIGHTS].values()
        made[ShareableKey.METRICS] = {"largest": max(float(value.max()) for value in weights)}
        return made


class Silent(Validator):
    def validate(self, shareable, fl_ctx, abort_signal):
        return None


class Careful(ClientTrainer):
    # Clara's training, half of it sent.

    def train(self, shareable, fl_ctx, abort_signal):
        made = super().train(shareable, fl_ctx, abort_signal)
        weights = made[ShareableKey.MODEL_WEIGHTS]
        made[ShareableKey.MODEL_WEIGHTS] = {name: value / 2 for name, value in weights.items()}
        print("initial", made[ShareableKey.META][FLConstants.INITIAL_METRICS], flush=True)
        return made


class Squared(ClientValidator):
    def validate(self, shareable, fl_ctx, abort_signal):
        found = super().validate(shareable, fl_ctx, abort_signal)
        return {name: value**2 for name, value in found.items()}
"""


def with_parts(folder: Path, more: Mapping[str, Any], own: bool = False) -> Path:
    """An MMAR of the linear model whose client is changed by ``more``; ``own``: with a trainer of its own."""
    crossing = {
        "client cross_validate": True,
        "client cross_site_validation is_participating": True,
        "validation handlers": [],
        "validation dataset": {"path": "parts.Eight"},
        "validation dataloader": {"name": "DataLoader", "args": {"batch_size": 3}},
        "validation model": {"path": "parts.Net"},
        "validation pre_transforms": ...,
        "validation post_transforms": ...,
        "validation inferer": ...,
        "validation metrics": [
            {
                "name": "MeanSquaredError",
                "log_label": "error",
                "is_key_metric": True,
                "args": {"output_transform": "lambda x: (x['pred'], x['label'])"},
            }
        ],
    }
    if own:
        make_own(folder, {"step": 1.0}, {**crossing, **more})
    else:
        make_linear(folder, {**crossing, **more})
    return fill(folder, {"custom/parts_of_client.py": PARTS})
