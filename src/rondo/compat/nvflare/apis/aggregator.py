"""An aggregator: what the server makes of the updates of a round."""

from __future__ import annotations

from typing import Any

from .fl_component import FLComponent
from .fl_context import FLContext
from .shareable import Shareable


class Aggregator(FLComponent):
    """Each update is offered to ``accept``, which says whether it counts; ``aggregate`` gives the result."""

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> Any:
        raise TypeError(f"{type(self).__name__} has no accept()")

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        raise TypeError(f"{type(self).__name__} has no aggregate()")
