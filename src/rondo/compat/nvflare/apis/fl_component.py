"""What every component of a run is: it has a name and a log, and hears of every event on its side."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from .fl_context import FLContext


class FLComponent:
    """Registered when it is made; components override ``handle_event`` for what concerns them."""

    def __init__(self) -> None:
        self._name = type(self).__name__
        self.logger = logging.getLogger(self._name)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Nothing concerns a plain component."""

    def fire_event(self, event_type: str, handlers: Iterable[FLComponent], fl_ctx: FLContext) -> None:
        """Tell others of an event."""
        for one in handlers:
            one.handle_event(event_type, fl_ctx)

    def finalize(self, fl_ctx: FLContext) -> None:
        """The run is over."""
