"""Components of an MMAR's own in ``custom/``: trainers, filters, handlers, called as Clara called them.

They see the names of ``rondo.compat`` as ``nvflare``. A trainer is given the model as a Shareable; what it returns is
checked like any other update. Filters of one's own are run here, before those of the job and of the site: they are user
code, and where those run there is none.
"""

from __future__ import annotations

import atexit
import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.jobs.components import Component
from rondo.jobs.mmar import CLIENT, CUSTOM, ENVIRONMENT, TRAIN, Mmar, known_as
from rondo.jobs.task import Site, Task, Update
from rondo.trainers._mmar_place import Told
from rondo.trainers._mmar_wiring import Wiring
from rondo.trainers.seam import Model

COMPAT = Path(__file__).parents[1] / "compat"


def use_compat() -> None:
    """Let Python find Clara's names, before another installation of them."""
    if str(COMPAT) not in sys.path:
        sys.path.insert(0, str(COMPAT))


class OwnParts:
    """The client's components of its own, made once. Every event of the run goes to each of them."""

    def __init__(self, mmar: Mmar, site: Site, told: Told) -> None:
        use_compat()
        self._apis = {name: importlib.import_module(f"nvflare.apis.{name}") for name in ("fl_context", "shareable")}
        self._keys = importlib.import_module("nvflare.apis.fl_constant")
        self.events = importlib.import_module("nvflare.apis.event_type").EventType
        self._told = told
        self._wiring = Wiring(mmar, CLIENT, importlib.import_module("torch").device("cpu"), told)
        reading, client = self._wiring.sections.reading, mmar.files[CLIENT].get("client")
        filters = reading.components(client.get("outbound_filters")) if client is not None else []
        self._filters = [self._make(one) for one in filters if not known_as(one)]
        self._handlers = [self._make(one) for one in reading.components(mmar.files[CLIENT].get("handlers"))]
        made = reading.read(mmar.files[CLIENT].table["client_trainer"])
        self.trainer = None if known_as(made) else self._make(made)
        self._all = [one for one in (self.trainer, *self._filters, *self._handlers) if one is not None]
        self.context = self._context(mmar, site)
        if self._all:
            self.fire(self.events.START_RUN)
            atexit.register(self._end)

    def _make(self, component: Component) -> Any:
        return self._wiring.make(component, "", "")

    def _context(self, mmar: Mmar, site: Site) -> Any:
        context, names = self._apis["fl_context"].FLContext(), self._keys.FLConstants
        config = mmar.files[TRAIN].plain() if TRAIN in mmar.files else {}
        environment = mmar.environment() if ENVIRONMENT in mmar.files else {}
        args = SimpleNamespace(
            train_config=config, env={**environment, **mmar.given}, local_rank=0, mmar=str(mmar.folder)
        )
        for key, value in (
            (names.ARGS, args), (names.MMAR_ROOT, str(mmar.folder)), (names.TRAIN_ROOT, str(mmar.folder)),
            (names.LOG_DIR, str(mmar.folder / "models")), (names.WORKSPACE, str(site.workspace)), (names.MY_RANK, 0),
            (names.MULTI_GPU, False),
        ):  # fmt: skip
            context.set_prop(key, value)
        context.set_prop(names.CLIENT_NAME, site.name, private=False)
        return context

    def fire(self, event: str) -> None:
        """Tell all of them."""
        for one in self._all:
            one.handle_event(event, self.context)

    def _end(self) -> None:
        self.fire(self.events.END_RUN)
        for one in self._all:
            if hasattr(one, "finalize"):
                one.finalize(self.context)

    def begin(self, task: Task) -> None:
        """A round begins: the context says which."""
        names = self._keys.FLConstants
        self.context.set_prop(names.CURRENT_ROUND, task.round, private=False)
        self.context.set_prop(names.TOTAL_ROUND, task.rounds)
        self.context.set_prop(names.MAX_ROUNDS, task.rounds)

    def train(self, model: Model, task: Task) -> Update:
        """One round of the trainer of one's own. Raises ``BadInput`` for what is no update."""
        self.begin(task)
        keys, values = self._keys.ShareableKey, self._keys.ShareableValue
        given = self._shareable(values.TYPE_WEIGHTS, {name: np.array(model[name]) for name in model}, {})
        self.fire(self.events.RECEIVE_GLOBAL_SHAREABLE)
        self.fire(self.events.BEFORE_TRAIN)
        signal = importlib.import_module("nvflare.common.signal").Signal()
        made = self.trainer.train(given, self.context, signal)  # type: ignore[union-attr]  # asked only where there is one
        self.fire(self.events.AFTER_TRAIN)
        if not isinstance(made, Mapping) or made.get(keys.TYPE) not in (values.TYPE_WEIGHTS, values.TYPE_WEIGHT_DIFF):
            kind = made.get(keys.TYPE) if isinstance(made, Mapping) else type(made).__name__
            why = (made.get(keys.META) or {}).get("failure", "") if isinstance(made, Mapping) else ""
            raise BadInput(f"the trainer returned {kind!r}, neither weights nor their difference", hint=str(why))
        return self._handed_in(made, model)

    def filtered(self, update: Update, model: Model) -> Update:
        """What filters of one's own make of an update that another trainer made."""
        self.fire(self.events.AFTER_TRAIN)
        names, values = self._keys.FLConstants, self._keys.ShareableValue
        kind = values.TYPE_WEIGHT_DIFF if update.kind == "diff" else values.TYPE_WEIGHTS
        tensors = {name: _array(value) for name, value in update.tensors.items()}
        made = self._shareable(kind, tensors, {names.NUM_STEPS_CURRENT_ROUND: update.steps})
        filtered = self._handed_in(made, model)
        return replace(update, tensors=filtered.tensors, kind=filtered.kind)

    def _handed_in(self, made: Any, model: Model) -> Update:
        keys, values, names = self._keys.ShareableKey, self._keys.ShareableValue, self._keys.FLConstants
        for one in self._filters:
            made = one.process(made, self.context)
        self.fire(self.events.BEFORE_SEND_CLIENT_SHAREABLE)
        tensors, meta = made.get(keys.MODEL_WEIGHTS), made.get(keys.META) or {}
        if not isinstance(tensors, Mapping):
            raise BadInput(f"the Shareable has no {keys.MODEL_WEIGHTS!r}", where=CUSTOM)
        steps = meta.get(names.NUM_STEPS_CURRENT_ROUND)
        if steps is None:
            self._told("no num_steps_current_round in the meta data: counted as 1", CUSTOM)
        arrays = {name: _array(value).astype(model[name].dtype, copy=False) if name in model else _array(value)
                  for name, value in tensors.items()}  # fmt: skip
        kind: Any = "diff" if made.get(keys.TYPE) == values.TYPE_WEIGHT_DIFF else "weights"
        if kind == "diff" and _looks_whole(arrays, model):
            self._told("weights_diff holds the weights themselves: taken as weights", CUSTOM)
            kind = "weights"
        weight = float(steps or 1)
        return Update(arrays, weight, kind, _metrics(meta.get(names.INITIAL_METRICS)), steps=weight)

    def _shareable(self, kind: str, tensors: Mapping[str, Any], meta: Mapping[str, Any]) -> Any:
        keys, values = self._keys.ShareableKey, self._keys.ShareableValue
        made = self._apis["shareable"].Shareable()
        made[keys.TYPE], made[keys.DATA_TYPE] = kind, values.DATA_TYPE_UNENCRYPTED
        made[keys.MODEL_WEIGHTS], made[keys.META] = dict(tensors), dict(meta)
        return made


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


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
