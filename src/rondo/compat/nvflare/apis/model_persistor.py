"""A persistor: where the global model comes from, and where each new one goes."""

from __future__ import annotations

from .fl_component import FLComponent
from .fl_context import FLContext
from .model import Model


class ModelPersistor(FLComponent):
    """``load`` is asked once for the model to begin with, ``save`` is given each new one."""

    def load(self, fl_ctx: FLContext) -> Model:
        return self.load_model(fl_ctx)

    def save(self, learnable: Model, fl_ctx: FLContext) -> None:
        self.save_model(learnable, fl_ctx)

    def load_model(self, fl_ctx: FLContext) -> Model:
        raise TypeError(f"{type(self).__name__} has no load_model()")

    def save_model(self, model: Model, fl_ctx: FLContext) -> None:
        raise TypeError(f"{type(self).__name__} has no save_model()")
