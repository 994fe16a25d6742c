"""The server's components of an MMAR's own: persistor, generator, aggregator, filters and handlers.

They are made once for a run, in a worker of the server that runs nothing else, and hear every event in Clara's order.
START_ROUND and GET_GLOBAL_SHAREABLE come when what the sites are sent is made: once a round, not once a site. What the
sites have sent is shown to them when the round is over, in the order of the sites' names, whoever came first; so no
component can close a round early. A worker that takes a dead one's place begins with START_RUN and the persistor's
``load`` again; the model it goes on with is the run's, not what was loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.jobs.mmar import CUSTOM, SERVER, check_label_format
from rondo.tensors.dtypes import from_float64, numpy_dtype, to_float64
from rondo.tensors.files import TensorFile, write_tensors
from rondo.tensors.layout import Layout
from rondo.trainers._mmar_clara import Clara, Company, as_array, filters_of, own_of
from rondo.trainers._mmar_classes import use_custom
from rondo.trainers._mmar_first import make_first, persistor_key
from rondo.trainers._mmar_place import Told, open_at
from rondo.trainers._mmar_wiring import Wiring

Arrays = dict[str, Any]
Sent = Mapping[str, Any]  # an update, as a request describes it
Fold = Callable[[Sequence[Sent]], Path]


class OwnServer:
    """Those of the MMAR in ``code``, for a run whose rounds end before ``rounds``."""

    def __init__(self, code: Path, rounds: int) -> None:
        self._clara = clara = Clara()
        self._told, self._code, self._rounds = Told(), code, rounds
        mmar = open_at(None, self._told, code)
        check_label_format(mmar, outside=True)
        use_custom(code / CUSTOM)
        self._wiring = Wiring(mmar, SERVER, importlib.import_module("torch").device("cpu"), self._told)
        self._aggregator, self._generator = self._own("aggregator"), self._own("shareable_generator")
        self._persistor = self._own(persistor_key(mmar))
        listed = self._wiring.sections.listed
        self._inbound = filters_of(listed("", "inbound_filters"), self._wiring, clara)
        self._outbound = filters_of(listed("", "outbound_filters"), self._wiring, clara)
        handlers = own_of("", "handlers", self._wiring)
        self._context = clara.about(mmar, "server", code.parent)
        for key in (clara.names.TOTAL_ROUND, clara.names.MAX_ROUNDS):
            self._context.set_prop(key, rounds)
        self._round, self._loaded = -1, False
        single = [one for one in (self._persistor, self._generator, self._aggregator) if one is not None]
        self._company = Company([*single, *self._inbound, *self._outbound, *handlers], clara.events, self._context)

    def _own(self, key: str) -> Any:
        """The component under ``key``, None for one of Clara's."""
        return next(iter(own_of("", key, self._wiring)), None)

    # ---- the model to begin with, and what sites are sent

    def load(self) -> Any:
        """The model to begin with. Raises ``BadInput`` where the persistor gives none."""
        if self._persistor is None:
            return make_first(self._code)
        made = self._persistor.load(self._context)
        self._loaded = True
        if not isinstance(made, Mapping) or not made:
            kind = "an empty model" if isinstance(made, Mapping) else type(made).__name__
            raise BadInput(f"load() of the persistor returned {kind}, no arrays by name", where=CUSTOM)
        return {str(name): as_array(value) for name, value in made.items()}

    def send(self, number: int, model: Path) -> Arrays | None:
        """What the sites are sent of ``model`` in round ``number``; None for the model as it is."""
        layout = self._take(model)
        if number < self._rounds:
            self._begin(number)
            self._company.fire(self._clara.events.GET_GLOBAL_SHAREABLE)
        if self._generator is None and not self._outbound:
            return None
        weights = self._context.get_model()
        if self._generator is not None:
            made = self._generator.learnable_to_shareable(weights, self._context)
        else:
            made = self._clara.shareable(self._clara.values.TYPE_WEIGHTS, weights, {})
        for one in self._outbound:
            made = one.process(made, self._context)
        kind, arrays = self._clara.weights(made, "an outbound filter or the generator")
        if kind != self._clara.values.TYPE_WEIGHTS:
            raise BadInput(f"the sites would be sent {kind!r}: they begin with whole weights", where=CUSTOM)
        return _stored(arrays, layout)

    def _take(self, model: Path) -> Layout:
        """What the context calls the model is the one in this file."""
        if self._persistor is not None and not self._loaded:
            self.load()
        with TensorFile(model) as file:
            self._hold(_values(file))
            return file.layout

    def _hold(self, weights: Mapping[str, Any]) -> None:
        made = weights if isinstance(weights, self._clara.model) else self._clara.model(weights)
        self._context.set_model(made)
        self._context.set_prop(self._clara.names.GLOBAL_MODEL, made)

    def _begin(self, number: int) -> None:
        if number != self._round:
            self._round = number
            self._context.set_prop(self._clara.names.CURRENT_ROUND, number, private=False)
            self._company.fire(self._clara.events.START_ROUND)

    # ---- the end of a round

    def aggregate(
        self, number: int, base: Path, updates: Sequence[Sent], fold: Fold, scratch: Path
    ) -> tuple[Arrays, list[str]]:
        """The next model, and the sites whose updates were accepted. Raises ``BadInput`` where there is none.

        ``fold`` is Clara's own aggregator: it makes a file with the next model of what it is given. Updates that
        filters have changed lie beside ``scratch`` until then, under names that no file of ``fold`` has.
        """
        layout, fire, events = self._take(base), self._company.fire, self._clara.events
        self._begin(number)
        arrived = [self._received(one, scratch) for one in sorted(updates, key=lambda one: str(one["site"]))]
        taken = [one for one in arrived if one is not None]
        if not taken:
            raise BadInput("the aggregator accepted no update", where=CUSTOM)
        fire(events.BEFORE_AGGREGATION)
        own = self._aggregator
        made = own.aggregate(self._context) if own is not None else self._folded(fold(taken), layout)
        fire(events.END_AGGREGATION)
        fire(events.BEFORE_SHAREABLE_TO_LEARNABLE)
        if isinstance(made, Path):  # nobody of one's own has to look at it
            with TensorFile(made) as file:
                weights: Arrays = {name: np.array(file[name]) for name in file}
        else:
            weights = _stored(self._learned(made), layout)
        fire(events.AFTER_SHAREABLE_TO_LEARNABLE)
        return weights, [str(one["site"]) for one in taken]

    def _received(self, update: Sent, scratch: Path) -> Sent | None:
        """One update as it arrives; None where it is not accepted."""
        clara, names, fire = self._clara, self._clara.names, self._company.fire
        with TensorFile(Path(update["path"])) as file:
            arrays, dtypes = _values(file), {one.name: one.dtype for one in file.layout.tensors}
        kind = clara.values.TYPE_WEIGHT_DIFF if update["kind"] == "diff" else clara.values.TYPE_WEIGHTS
        meta = {names.NUM_STEPS_CURRENT_ROUND: update["steps"], names.INITIAL_METRICS: update["metric"]}
        made, peer = clara.shareable(kind, arrays, meta), clara.context()
        for key, value in (
            (names.CLIENT_NAME, update["site"]), (names.CURRENT_ROUND, self._round),
            (names.NUM_STEPS_CURRENT_ROUND, update["steps"]), (names.SHAREABLE, made),
        ):  # fmt: skip
            peer.set_prop(key, value, private=False)
        self._context.set_prop(names.PEER_CONTEXT, peer)
        fire(clara.events.RECEIVE_CONTRIBUTION)
        for one in self._inbound:
            made = one.process(made, self._context)
        peer.set_prop(names.SHAREABLE, made, private=False)
        fire(clara.events.BEFORE_ACCEPT)
        accepted = self._aggregator is None or self._accepts(made)
        fire(clara.events.AFTER_ACCEPT)
        if not accepted:
            return None
        if not self._inbound or self._aggregator is not None:
            return update
        return self._rewritten({**update, "path": f"{scratch}.of.{update['site']}"}, made, dtypes)

    def _accepts(self, made: Any) -> bool:
        said = self._aggregator.accept(made, self._context)  # (accepted, aggregate now), later a single bool
        if isinstance(said, tuple) and len(said) > 1 and said[1]:
            self._told("aggregate_now: a round cannot be closed early, this one was over before", CUSTOM)
        return bool(said[0] if isinstance(said, tuple) else said)

    def _rewritten(self, update: Sent, made: Any, dtypes: Mapping[str, str]) -> Sent:
        """The update as the filters left it, for who folds files. What they took away is omitted."""
        kind, arrays = self._clara.weights(made, "an inbound filter")
        for name in arrays:
            if name not in dtypes:
                raise BadInput(f"an inbound filter added {name!r}, which the update has not", where=CUSTOM)
        stays = {name: dtype for name, dtype in dtypes.items() if name in arrays}
        write_tensors(Path(update["path"]), {name: _as(arrays[name], dtype) for name, dtype in stays.items()}, stays)
        omitted = sorted({*update["omitted"], *dtypes.keys() - stays.keys()})
        diff = kind == self._clara.values.TYPE_WEIGHT_DIFF
        return {**update, "kind": "diff" if diff else "weights", "omitted": omitted}

    def _folded(self, made: Path, layout: Layout) -> Any:
        """What Clara's aggregator gives: the file, and for a generator of one's own the difference to the model."""
        if self._generator is None:
            return made
        with TensorFile(made) as file:
            after, before = _values(file), self._context.get_model()
        bools = any(one.dtype == "BOOL" for one in layout.tensors)  # have no difference
        if not bools:
            after = {name: array - before[name] for name, array in after.items()}
        kind = self._clara.values.TYPE_WEIGHTS if bools else self._clara.values.TYPE_WEIGHT_DIFF
        return self._clara.shareable(kind, after, {})

    def _learned(self, made: Any) -> Mapping[str, Any]:
        """The next model: what the generator makes of the aggregate, else as Clara's FullModelShareableGenerator."""
        if self._generator is not None:
            found = self._generator.shareable_to_learnable(made, self._context)
            if not isinstance(found, Mapping):
                raise BadInput(f"shareable_to_learnable() returned {type(found).__name__}, no model", where=CUSTOM)
            return found
        kind, arrays = self._clara.weights(made, "the aggregator")
        weights = dict(self._context.get_model())
        for name, value in arrays.items():
            if name not in weights:
                raise BadInput(f"the aggregator returned {name!r}, which the model has not", where=CUSTOM)
            change = as_array(value).astype(weights[name].dtype).reshape(weights[name].shape)
            weights[name] = weights[name] + change if kind == self._clara.values.TYPE_WEIGHT_DIFF else change
        return weights

    def persist(self, model: Path) -> None:
        """The round is over, and this is the new model."""
        fire, events = self._company.fire, self._clara.events
        self._take(model)
        fire(events.BEFORE_LEARNABLE_PERSIST)
        if self._persistor is not None:
            self._persistor.save(self._context.get_model(), self._context)
        fire(events.AFTER_LEARNABLE_PERSIST)
        fire(events.END_ROUND)


def _values(file: TensorFile) -> Arrays:
    """The tensors as arrays that may be written to; bfloat16 as float32, which user code can compute with."""
    found: Arrays = {}
    for tensor in file.layout.tensors:
        bits = tensor.dtype == "BF16"
        array = file[tensor.name]
        found[tensor.name] = to_float64(array, "BF16").astype(np.float32) if bits else np.array(array)
    return found


def _stored(weights: Mapping[str, Any], layout: Layout) -> Arrays:
    """Arrays as the model has them; names are looked at by who writes them."""
    dtypes = {tensor.name: tensor.dtype for tensor in layout.tensors}
    return {str(name): _as(value, dtypes.get(name, "")) for name, value in weights.items()}


def _as(value: Any, dtype: str) -> Any:
    array = as_array(value)
    if dtype == "BF16":
        return from_float64(array.astype(np.float64), dtype)
    return array.astype(numpy_dtype(dtype), copy=False) if dtype else array
