"""Clara's validator, as a class to build upon."""

from __future__ import annotations

from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.validator import Validator
from nvflare.common.signal import Signal


class ClientValidator(Validator):
    """What the validation config says, with MONAI. ``run``: given by the worker, measures a model: metrics by name."""

    def __init__(self) -> None:
        super().__init__()
        self.run: Any = None

    def validate(self, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Any:
        return self.run(shareable)
