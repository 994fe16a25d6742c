"""A filter: what changes a ``Shareable`` on its way."""

from __future__ import annotations

from .fl_component import FLComponent
from .fl_context import FLContext
from .shareable import Shareable


class Filter(FLComponent):
    """``process`` returns what goes on in the place of what it was given."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        raise TypeError(f"{type(self).__name__} has no process()")
