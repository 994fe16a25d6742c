"""An aggregator of an MMAR's own: made anew for each round, given every update, asked for the result.

So it is in a worker of the server that has nothing else in memory, and a round that is folded again comes to the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.jobs.mmar import CUSTOM, SERVER
from rondo.tensors.files import TensorFile
from rondo.trainers._mmar_classes import use_custom
from rondo.trainers._mmar_own import use_compat
from rondo.trainers._mmar_place import Told, open_at
from rondo.trainers._mmar_wiring import Wiring


class OwnAggregator:
    """The aggregator of the MMAR in ``code``, for round ``round_number``."""

    def __init__(self, code: Path, round_number: int) -> None:
        use_compat()
        told = Told()
        mmar = open_at(None, told, code)
        use_custom(code / CUSTOM)
        wiring = Wiring(mmar, SERVER, importlib.import_module("torch").device("cpu"), told)
        made = wiring.sections.single("", "aggregator")
        assert made is not None  # the reader has seen it
        self._aggregator = wiring.make(made, "", "")
        constants = importlib.import_module("nvflare.apis.fl_constant")
        self._keys, self._values, self._names = constants.ShareableKey, constants.ShareableValue, constants.FLConstants
        self._context = importlib.import_module("nvflare.apis.fl_context").FLContext
        self._shareable = importlib.import_module("nvflare.apis.shareable").Shareable
        self._events = importlib.import_module("nvflare.apis.event_type").EventType
        self._round = round_number
        self._own = self._about("server")

    def _about(self, name: str) -> Any:
        context = self._context()
        context.set_prop(self._names.CLIENT_NAME, name, private=False)
        context.set_prop(self._names.CURRENT_ROUND, self._round, private=False)
        return context

    def result(self, base: Path, updates: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
        """The next model, and the sites whose updates were accepted. Raises ``BadInput`` where it gives no model."""
        keys, values = self._keys, self._values
        self._aggregator.handle_event(self._events.START_RUN, self._own)
        accepted = [str(one["site"]) for one in sorted(updates, key=lambda one: one["site"]) if self._accepts(one)]
        if not accepted:
            raise BadInput("the aggregator accepted no update", where=CUSTOM)
        self._aggregator.handle_event(self._events.BEFORE_AGGREGATION, self._own)
        made = self._aggregator.aggregate(self._own)
        self._aggregator.handle_event(self._events.END_AGGREGATION, self._own)
        kind = made.get(keys.TYPE) if isinstance(made, Mapping) else type(made).__name__
        if kind not in (values.TYPE_WEIGHTS, values.TYPE_WEIGHT_DIFF):
            raise BadInput(f"the aggregator returned {kind!r}, neither weights nor their difference", where=CUSTOM)
        with TensorFile(base) as model:
            weights: dict[str, Any] = {name: np.array(model[name]) for name in model}
        for name, value in made[keys.MODEL_WEIGHTS].items():
            if name not in weights:
                raise BadInput(f"the aggregator returned {name!r}, which the model has not", where=CUSTOM)
            change = np.asarray(value).astype(weights[name].dtype).reshape(weights[name].shape)
            weights[name] = weights[name] + change if kind == values.TYPE_WEIGHT_DIFF else change
        return weights, accepted

    def _accepts(self, update: Mapping[str, Any]) -> bool:
        keys, values, names = self._keys, self._values, self._names
        with TensorFile(Path(update["path"])) as file:
            arrays = {name: np.array(file[name]) for name in file}
        made = self._shareable()
        made[keys.TYPE] = values.TYPE_WEIGHT_DIFF if update["kind"] == "diff" else values.TYPE_WEIGHTS
        made[keys.DATA_TYPE], made[keys.MODEL_WEIGHTS] = values.DATA_TYPE_UNENCRYPTED, arrays
        made[keys.META] = {names.NUM_STEPS_CURRENT_ROUND: update["steps"], names.INITIAL_METRICS: update["metric"]}
        peer = self._about(update["site"])
        peer.set_prop(names.NUM_STEPS_CURRENT_ROUND, update["steps"], private=False)
        peer.set_prop(names.SHAREABLE, made, private=False)
        self._own.set_prop(names.PEER_CONTEXT, peer)
        self._aggregator.handle_event(self._events.BEFORE_ACCEPT, self._own)
        said = self._aggregator.accept(made, self._own)  # (accepted, aggregate now), later a single bool
        self._aggregator.handle_event(self._events.AFTER_ACCEPT, self._own)
        return bool(said[0] if isinstance(said, tuple) else said)
