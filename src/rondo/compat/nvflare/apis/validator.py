"""A validator: what a site runs on the models of others in cross-site validation."""

from __future__ import annotations

from typing import Any

from ..common.signal import Signal
from .fl_component import FLComponent
from .fl_context import FLContext
from .shareable import Shareable


class Validator(FLComponent):
    """Gets a model as a ``Shareable`` of weights, returns its metrics: by name, or a ``Shareable`` that holds them."""

    def validate(self, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Any:
        raise TypeError(f"{type(self).__name__} has no validate()")
