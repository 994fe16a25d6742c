"""A trainer: what each site runs every round."""

from __future__ import annotations

from ..common.signal import Signal
from .fl_component import FLComponent
from .fl_context import FLContext
from .shareable import Shareable


class Trainer(FLComponent):
    """Gets the global model as a ``Shareable`` of weights, returns one of weights or of their difference."""

    def train(self, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        raise TypeError(f"{type(self).__name__} has no train()")
