"""Components of an MMAR's own in ``custom/``: trainers, filters, handlers, called as Clara called them.

They see the names of ``rondo.compat`` as ``nvflare``. A trainer is given the model as a Shareable; what it returns is
checked like any other update. Filters of one's own are run here, before those of the job and of the site: they are user
code, and where those run there is none.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.jobs.mmar import CLIENT, CUSTOM, Mmar, known_as
from rondo.jobs.task import Site, Task, Update
from rondo.trainers._mmar_clara import Clara, Company, as_array
from rondo.trainers._mmar_place import Told
from rondo.trainers._mmar_wiring import Wiring
from rondo.trainers.seam import Model


class OwnParts:
    """The client's components of its own, made once. Every event of the run goes to each of them."""

    def __init__(self, mmar: Mmar, site: Site, told: Told) -> None:
        self._clara = Clara()
        self.events = self._clara.events
        self._told = told
        wiring = Wiring(mmar, CLIENT, importlib.import_module("torch").device("cpu"), told)
        reading, client = wiring.sections.reading, mmar.files[CLIENT].get("client")
        filters = reading.components(client.get("outbound_filters")) if client is not None else []
        self._filters = [wiring.make(one, "", "") for one in filters if not known_as(one)]
        handlers = [wiring.make(one, "", "") for one in reading.components(mmar.files[CLIENT].get("handlers"))]
        made = reading.read(mmar.files[CLIENT].table["client_trainer"])
        self.trainer = None if known_as(made) else wiring.make(made, "", "")
        self.context = self._clara.about(mmar, site.name, site.workspace)
        everybody = [one for one in (self.trainer, *self._filters, *handlers) if one is not None]
        self._company = Company(everybody, self.events, self.context)

    def fire(self, event: str) -> None:
        """Tell all of them."""
        self._company.fire(event)

    def begin(self, task: Task) -> None:
        """A round begins: the context says which."""
        names = self._clara.names
        self.context.set_prop(names.CURRENT_ROUND, task.round, private=False)
        self.context.set_prop(names.TOTAL_ROUND, task.rounds)
        self.context.set_prop(names.MAX_ROUNDS, task.rounds)

    def train(self, model: Model, task: Task) -> Update:
        """One round of the trainer of one's own. Raises ``BadInput`` for what is no update."""
        self.begin(task)
        weights = {name: np.array(model[name]) for name in model}
        given = self._clara.shareable(self._clara.values.TYPE_WEIGHTS, weights, {})
        self.fire(self.events.RECEIVE_GLOBAL_SHAREABLE)
        self.fire(self.events.BEFORE_TRAIN)
        made = self.trainer.train(given, self.context, self._clara.signal())  # type: ignore[union-attr]  # there is one
        self.fire(self.events.AFTER_TRAIN)
        self._clara.weights(made, "the trainer")
        return self._handed_in(made, model)

    def filtered(self, update: Update, model: Model) -> Update:
        """What filters of one's own make of an update that another trainer made."""
        self.fire(self.events.AFTER_TRAIN)
        names, values = self._clara.names, self._clara.values
        kind = values.TYPE_WEIGHT_DIFF if update.kind == "diff" else values.TYPE_WEIGHTS
        tensors = {name: as_array(value) for name, value in update.tensors.items()}
        made = self._clara.shareable(kind, tensors, {names.NUM_STEPS_CURRENT_ROUND: update.steps})
        filtered = self._handed_in(made, model)
        return replace(update, tensors=filtered.tensors, kind=filtered.kind)

    def _handed_in(self, made: Any, model: Model) -> Update:
        clara, names = self._clara, self._clara.names
        for one in self._filters:
            made = one.process(made, self.context)
        self.fire(self.events.BEFORE_SEND_CLIENT_SHAREABLE)
        said, tensors = clara.weights(made, "a filter or the trainer")
        meta = made.get(clara.keys.META) or {}
        steps = meta.get(names.NUM_STEPS_CURRENT_ROUND)
        if steps is None:
            self._told("no num_steps_current_round in the meta data: counted as 1", CUSTOM)
        arrays = {name: as_array(value).astype(model[name].dtype, copy=False) if name in model else as_array(value)
                  for name, value in tensors.items()}  # fmt: skip
        kind: Any = "diff" if said == clara.values.TYPE_WEIGHT_DIFF else "weights"
        if kind == "diff" and _looks_whole(arrays, model):
            self._told("weights_diff holds the weights themselves: taken as weights", CUSTOM)
            kind = "weights"
        weight = float(steps or 1)
        return Update(arrays, weight, kind, _metrics(meta.get(names.INITIAL_METRICS)), steps=weight)


def _metrics(found: Any) -> Mapping[str, float]:
    """A trainer says one number, or several by name."""
    if found is None:
        return {}
    return found if isinstance(found, Mapping) else {"initial_metrics": float(found)}


def _looks_whole(arrays: Mapping[str, Any], model: Model) -> bool:
    """Whether a "difference" is as near to the model as weights are: within a quarter of the model's own size."""
    floats = [name for name in arrays if name in model and np.issubdtype(model[name].dtype, np.floating)]
    size = sum(float(np.abs(model[name]).sum()) for name in floats)
    apart = sum(float(np.abs(arrays[name] - model[name]).sum()) for name in floats)
    return apart < 0.25 * size


class OwnTrainer:
    """A trainer of one's own, as ours; it validates within its own training."""

    evaluates = False

    def __init__(self, parts: OwnParts) -> None:
        self._parts = parts

    def train(self, model: Model, task: Task) -> Update:
        return self._parts.train(model, task)

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        raise BadInput("a trainer of one's own validates while it trains", where=CLIENT)
