"""A shareable generator: from the global model to what sites are sent, and from what was aggregated to the next one."""

from __future__ import annotations

from .fl_component import FLComponent
from .fl_constant import ShareableKey, ShareableValue
from .fl_context import FLContext
from .model import Model
from .shareable import Shareable


class ShareableGenerator(FLComponent):
    """Without a ``learnable_to_shareable`` of its own it sends the weights as they are."""

    def learnable_to_shareable(self, model: Model, fl_ctx: FLContext) -> Shareable:
        made = Shareable()
        made[ShareableKey.TYPE] = ShareableValue.TYPE_WEIGHTS
        made[ShareableKey.DATA_TYPE] = ShareableValue.DATA_TYPE_UNENCRYPTED
        made[ShareableKey.MODEL_WEIGHTS] = dict(model)
        return made

    def shareable_to_learnable(self, shareable: Shareable, fl_ctx: FLContext) -> Model:
        raise TypeError(f"{type(self).__name__} has no shareable_to_learnable()")
