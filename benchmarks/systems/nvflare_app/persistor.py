"""Runs in NVFlare's server job: gives the first model, and notes when each round's model is handed over.

Nothing is written to disk but the notes, in NVFlare's favour.
"""

import json
import time

import work
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey, make_model_learnable
from nvflare.app_common.abstract.model_persistor import ModelPersistor


class Persistor(ModelPersistor):
    """``notes``: a file that gets one JSON line for each event."""

    def __init__(self, notes: str, elements: int, clients: int, rounds: int):
        super().__init__()
        self.notes = notes
        self.elements = elements
        self.clients = clients
        self.rounds = rounds
        self._saved = 0

    def load_model(self, fl_ctx: FLContext) -> ModelLearnable:
        weights = {f"layer{number:02}": work.initial(number, self.elements) for number in range(work.ARRAYS)}
        self._note(event="begin")
        return make_model_learnable(weights=weights, meta_props={})

    def save_model(self, model_learnable: ModelLearnable, fl_ctx: FLContext) -> None:
        self._note(event="round")
        self._saved += 1
        if self._saved == self.rounds:
            weights = model_learnable[ModelLearnableKey.WEIGHTS]
            right = work.is_right((weights[name] for name in sorted(weights)), self.clients, self.rounds)
            self._note(event="end", correct=right)

    def _note(self, **what: object) -> None:
        with open(self.notes, "a") as file:
            file.write(json.dumps({"at": time.time(), **what}) + "\n")
