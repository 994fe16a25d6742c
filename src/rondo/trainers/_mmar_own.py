"""Components of an MMAR's own in ``custom/`` at a client, called as Clara called them.

They see the names of ``rondo.compat`` as ``nvflare`` and ``medl``. A trainer is given the model as a Shareable; what it
returns is checked like any other update. Filters of one's own are run here, before those of the job and of the site:
they are user code, and where those run there is none. Inbound filters are run here, too, also Rondo's. Of several
processes that train together each has components of its own, and calls them; what the first one's return counts.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.jobs.mmar import CLIENT, CUSTOM, Mmar
from rondo.jobs.task import Site, Task, Update
from rondo.trainers._mmar_clara import Clara, Company, as_array, filters_of, own_of
from rondo.trainers._mmar_place import Told
from rondo.trainers._mmar_wiring import Wiring
from rondo.trainers._team import Team
from rondo.trainers.seam import Model, scalars

Train = Callable[[Model, Task], tuple[Update, float | None]]
Measure = Callable[[Model, Task], tuple[float, Mapping[str, float]]]

_TRAINER, _VALIDATOR = "trainers.client_trainer.ClientTrainer", "validators.client_validator.ClientValidator"
_NOTHING = Update({}, 1.0)  # of a process whose update nobody asks for


class OwnParts:
    """The client's components of its own, made once. Every event of the run goes to each of them."""

    def __init__(self, mmar: Mmar, site: Site, told: Told, team: Team) -> None:
        self.clara = Clara()
        self.events = self.clara.events
        self._told, self._team = told, team
        wiring = Wiring(mmar, CLIENT, importlib.import_module("torch").device("cpu"), told, team)
        listed, crossing = wiring.sections.listed, "cross_site_validation"
        self._inbound = filters_of(listed("client", "inbound_filters"), wiring, self.clara)
        self._outbound = own_of("client", "outbound_filters", wiring)
        self._cross_inbound = filters_of(listed(crossing, "inbound_filters"), wiring, self.clara)
        self._cross_outbound = own_of(crossing, "outbound_filters", wiring)
        handlers = own_of("", "handlers", wiring)
        self.trainer: Any = next(iter(own_of("", "client_trainer", wiring)), None)
        self.validator: Any = next(iter(own_of(crossing, "model_validator", wiring)), None)
        self.context = self.clara.about(mmar, site.name, site.workspace, team)
        filters = (*self._inbound, *self._outbound, *self._cross_inbound, *self._cross_outbound)
        everybody = [one for one in (self.trainer, self.validator, *filters, *handlers) if one is not None]
        self._company = Company(everybody, self.events, self.context)
        self._sending = False
        atexit.register(self._sent)  # before the company's end
        self._task: Any = None
        self._came: Model = {}

    def fire(self, event: str) -> None:
        """Tell all of them."""
        self._company.fire(event)

    def received(self, model: Model, task: Task) -> Model:
        """The global model as inbound filters leave it; the round begins with it, once."""
        if self._task is None or self._task.round != task.round:
            self._begin(task)
            self.fire(self.events.BEFORE_PULL_GLOBAL_SHAREABLE)  # it was pulled before this worker was asked
            self.fire(self.events.AFTER_PULL_GLOBAL_SHAREABLE)
            self.fire(self.events.RECEIVE_GLOBAL_SHAREABLE)
            if self._inbound:
                self._came = self._through(self._inbound, model, "an inbound filter")
            self._task = task  # only now: after a filter that failed the round has not begun
        return self._came if self._inbound else model

    def _sent(self) -> None:
        """What was handed in is on its way: this worker is asked for more, or no more."""
        if self._sending:
            self._sending = False
            self.fire(self.events.AFTER_SEND_CLIENT_SHAREABLE)

    def _begin(self, task: Task) -> None:
        self._sent()
        names = self.clara.names
        self.context.set_prop(names.CURRENT_ROUND, task.round, private=False)
        self.context.set_prop(names.TOTAL_ROUND, task.rounds)
        self.context.set_prop(names.MAX_ROUNDS, task.rounds)

    @property
    def builds_upon_clara(self) -> bool:
        """Whether the trainer of one's own is Clara's ClientTrainer, changed."""
        return isinstance(self.trainer, _of_clara(_TRAINER))

    def lend(self, measure: Measure, train: Callable[[Model, Task], Any] | None = None) -> None:
        """Give the validator what Clara's would do, and the trainer, where they build upon Clara's classes."""
        self._lend(_VALIDATOR, self.validator, lambda model, task: measure(model, task)[1])
        if train is not None:
            self._lend(_TRAINER, self.trainer, train)

    def _lend(self, name: str, component: Any, what: Callable[[Model, Task], Any]) -> None:
        clara: Any = _of_clara(name)
        if isinstance(component, clara):
            short = name.rpartition(".")[2]
            component.run = lambda shareable: what(self.clara.weights(shareable, short)[1], self._task)

    def _through(self, filters: list[Any], model: Model, who: str) -> Model:
        """Weights as these filters leave them; those of the model where there are none."""
        if not filters:
            return model
        made = self.clara.shareable(self.clara.values.TYPE_WEIGHTS, {name: np.array(model[name]) for name in model}, {})
        for one in filters:
            made = one.process(made, self.context)
        arrays = self.clara.weights(made, who)[1]
        return {name: _like(value, model, name, who) for name, value in arrays.items()}

    def train(self, model: Model, task: Task) -> Update:
        """One round of the trainer of one's own. Raises ``BadInput`` for what is no update."""
        received = self.received(model, task)
        weights = {name: np.array(received[name]) for name in received}
        given = self.clara.shareable(self.clara.values.TYPE_WEIGHTS, weights, {})
        self.fire(self.events.BEFORE_TRAIN)
        made = self.trainer.train(given, self.context, self.clara.signal())
        self.fire(self.events.AFTER_TRAIN)
        if not self._team.first:
            return _NOTHING
        self.clara.weights(made, "the trainer")
        return self._handed_in(made, model, guess=True)

    def filtered(self, update: Update, model: Model) -> Update:
        """What filters of one's own make of an update that another trainer made."""
        self.fire(self.events.AFTER_TRAIN)
        if not self._team.first:
            return update
        filtered = self._handed_in(self.described(update), model)
        return replace(update, tensors=filtered.tensors, kind=filtered.kind, omitted=filtered.omitted)

    def described(self, update: Update, metric: float | None = None) -> Any:
        """An update as a Shareable."""
        names, values = self.clara.names, self.clara.values
        kind = values.TYPE_WEIGHT_DIFF if update.kind == "diff" else values.TYPE_WEIGHTS
        meta = {names.NUM_STEPS_CURRENT_ROUND: update.steps}
        if metric is not None:
            meta[names.INITIAL_METRICS] = metric
        return self.clara.shareable(kind, {name: as_array(value) for name, value in update.tensors.items()}, meta)

    def _handed_in(self, made: Any, model: Model, guess: bool = False) -> Update:
        """As an update. ``guess`` whether what is called a difference is one: of trainers that are not ours."""
        clara, names = self.clara, self.clara.names
        for one in self._outbound:
            made = one.process(made, self.context)
        self.fire(self.events.BEFORE_SEND_CLIENT_SHAREABLE)
        self._sending = True
        said, tensors = clara.weights(made, "a filter or the trainer")
        meta = made.get(clara.keys.META) or {}
        steps = meta.get(names.NUM_STEPS_CURRENT_ROUND)
        if steps is None:
            self._told("no num_steps_current_round in the meta data: counted as 1", CUSTOM)
        arrays = {name: _like(value, model, name, "a filter or the trainer") for name, value in tensors.items()}
        kind: Any = "diff" if said == clara.values.TYPE_WEIGHT_DIFF else "weights"
        if guess and kind == "diff" and _looks_whole(arrays, model):
            self._told("weights_diff holds the weights themselves: taken as weights", CUSTOM)
            kind = "weights"
        weight, metrics = float(steps or 1), _metrics(meta.get(names.INITIAL_METRICS))
        return Update(arrays, weight, kind, metrics, steps=weight, omitted=model.keys() - arrays.keys())

    # ---- cross-site validation

    def validate(self, model: Model, task: Task, measure: Measure) -> tuple[float, Mapping[str, float]]:
        """What is found of another's model, behind the inbound filters of cross-site validation: by the validator of
        one's own, else by ``measure``. Raises ``BadInput`` where it gives no metrics."""
        self._task = task
        self._begin(task)
        self.fire(self.events.RECEIVE_VALIDATION_MODEL)
        given = self._through(self._cross_inbound, model, "an inbound filter of cross_site_validation")
        self.fire(self.events.BEFORE_VALIDATE_MODEL)
        found = measure(given, task) if self.validator is None else self._measured(given)
        self.fire(self.events.AFTER_VALIDATE_MODEL)
        return found

    def _measured(self, model: Model) -> tuple[float, Mapping[str, float]]:
        """What the validator of one's own says; how many cases it looked at it does not say."""
        weights = {name: np.array(model[name]) for name in model}
        given = self.clara.shareable(self.clara.values.TYPE_WEIGHTS, weights, {})
        made = self.validator.validate(given, self.context, self.clara.signal())
        if not self._team.first:
            return 1.0, {}
        found = made.get(self.clara.keys.METRICS, made) if isinstance(made, Mapping) else made
        metrics = scalars(found) if isinstance(found, Mapping) else {}
        if not metrics:
            raise BadInput(f"the validator returned {type(made).__name__} without any metric", where=CUSTOM)
        return 1.0, metrics

    def leaves(self, model: Model) -> Mapping[str, Any] | None:
        """This site's best model as the filters of one's own leave it, None for as it is."""
        self.fire(self.events.SUBMIT_LOCAL_BEST_MODEL)
        if not self._cross_outbound:
            return None
        return self._through(self._cross_outbound, model, "a filter of local models")


def _of_clara(name: str) -> type:
    """A class of Clara Train's, as code of one's own imports it."""
    module, _, known = name.rpartition(".")
    found: type = getattr(importlib.import_module(f"medl.apps.fed_learn.{module}"), known)
    return found


def _like(value: Any, model: Model, name: str, who: str) -> Any:
    if name not in model:
        raise BadInput(f"{who} added {name!r}, which the model has not", where=CUSTOM)
    return as_array(value).astype(model[name].dtype, copy=False)


def _metrics(found: Any) -> Mapping[str, float]:
    """A trainer says one number, or several by name."""
    if found is None:
        return {}
    return found if isinstance(found, Mapping) else {"initial_metrics": float(found)}


def _looks_whole(arrays: Mapping[str, Any], model: Model) -> bool:
    """Whether a "difference" is as near to the model as weights are: within a quarter of the model's own size."""
    floats = [name for name in arrays if np.issubdtype(model[name].dtype, np.floating)]
    size = sum(float(np.abs(model[name]).sum()) for name in floats)
    apart = sum(float(np.abs(arrays[name] - model[name]).sum()) for name in floats)
    return apart < 0.25 * size


class OwnTrainer:
    """A trainer of one's own, as ours; it validates within its own training.

    One that builds upon Clara's ClientTrainer, or a validator upon Clara's ClientValidator, is given what MONAI does:
    ``train`` (the update, and the key metric of the model received) and ``measure``. ``measure`` also stands for a
    ClientValidator itself.
    """

    def __init__(self, parts: OwnParts, train: Train, measure: Measure, participates: bool) -> None:
        self._parts, self._measure = parts, measure
        self.evaluates = participates
        self._train = train
        parts.lend(measure, self._as_clara)

    def _as_clara(self, model: Model, task: Task) -> Any:
        """What Clara's trainer returns."""
        return self._parts.described(*self._train(model, task))

    def train(self, model: Model, task: Task) -> Update:
        return self._parts.train(model, task)

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        if task.round <= task.rounds:  # it does so while it trains
            return 1.0, {}
        return self._parts.validate(model, task, self._measure)

    def leaves(self, model: Model) -> Mapping[str, Any] | None:
        return self._parts.leaves(model)
