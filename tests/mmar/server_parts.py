"""Components for the server as they were written for Clara 4.0: they run unedited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.jobs.folders import fill
from tests.mmar.folders import Json, make_own

PARTS = """
import os

import numpy as np
from nvflare.apis import Model, ModelPersistor
from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLConstants
from nvflare.apis.shareable import ShareableKey, ShareableValue
from nvflare.apis.shareable_generator import ShareableGenerator


class Kept(ModelPersistor):
    # The model as text files beside each other; it knows which one it is at.

    def __init__(self, value=3.0, least=100):
        super().__init__()
        self.value, self.least, self.folder, self.saved = value, least, None, None

    def handle_event(self, event_type, fl_ctx):
        if event_type == EventType.START_RUN:
            self.folder = fl_ctx.get_prop(FLConstants.LOG_DIR)
            os.makedirs(self.folder, exist_ok=True)

    def load_model(self, fl_ctx):
        if self.saved is not None and self.saved >= self.least:
            return None
        self.saved = 0
        model = Model()
        model["coef_"] = np.full((1, 3), self.value, np.float32)
        model["intercept_"] = np.full(1, self.value, np.float32)
        return model

    def save_model(self, model, fl_ctx):
        self.saved += 1
        with open(os.path.join(self.folder, "mine_%d.txt" % self.saved), "w") as file:
            file.write("%d %s" % (fl_ctx.get_prop(FLConstants.CURRENT_ROUND), float(model["intercept_"][0])))
        with open("last.txt", "w") as file:  # where it stands
            file.write(str(float(model["intercept_"][0])))


class Slowed(ShareableGenerator):
    # The next model goes a tenth of the way; sites are sent what they are to begin with, plus a thousand.

    def learnable_to_shareable(self, model, fl_ctx):
        made = super().learnable_to_shareable(model, fl_ctx)
        made[ShareableKey.MODEL_WEIGHTS] = {name: value + 1000 for name, value in model.items()}
        return made

    def shareable_to_learnable(self, shareable, fl_ctx):
        assert shareable[ShareableKey.TYPE] == ShareableValue.TYPE_WEIGHT_DIFF
        model = fl_ctx.get_model()
        for name, change in shareable[ShareableKey.MODEL_WEIGHTS].items():
            model[name] = model[name] + 0.1 * change
        return model


class Events(FLComponent):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def handle_event(self, event_type, fl_ctx):
        self.seen += 1
        peer = fl_ctx.get_prop(FLConstants.PEER_CONTEXT)
        name = peer.get_prop(FLConstants.CLIENT_NAME) if peer is not None and "acc" in event_type else "-"
        model = fl_ctx.get_model()
        at = "-" if model is None else float(model["intercept_"][0])
        print("server", self.seen, event_type, fl_ctx.get_prop(FLConstants.CURRENT_ROUND), name, at, flush=True)


class Doubled(Filter):
    def process(self, shareable, fl_ctx):
        weights = shareable[ShareableKey.MODEL_WEIGHTS]
        shareable[ShareableKey.MODEL_WEIGHTS] = {name: value * 2 for name, value in weights.items()}
        return shareable


class Headless(Filter):
    # One tensor stays where it is.

    def process(self, shareable, fl_ctx):
        del shareable[ShareableKey.MODEL_WEIGHTS]["intercept_"]
        return shareable
"""


def make_served(folder: Path, more: Mapping[str, Any], args: Json | None = None) -> Path:
    """An MMAR whose server has components of its own, as ``more`` says; its trainer is one of its own, too."""
    make_own(folder, args or {"step": 1.0}, more)
    return fill(folder, {"custom/parts_of_server.py": PARTS})
