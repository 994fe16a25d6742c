"""Clara's trainer, as a class to build upon."""

from __future__ import annotations

from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.trainer import Trainer
from nvflare.common.signal import Signal


class ClientTrainer(Trainer):
    """What config_train.json says, with MONAI. A subclass may change what goes in and what comes out.

    ``run``: given by the worker, trains a round and returns the difference with its meta data.
    """

    def __init__(self, local_epochs: int = 1, steps_aggregation: int = 0, model_reader_writer: Any = None) -> None:
        super().__init__()
        self.local_epochs, self.steps_aggregation = local_epochs, steps_aggregation
        self.model_reader_writer = model_reader_writer
        self.run: Any = None

    def train(self, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        made: Shareable = self.run(shareable)
        return made
