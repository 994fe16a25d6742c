"""What code written for Clara imports, once a worker lets Python find it; and components that hear of each other."""

from __future__ import annotations

import atexit
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.base.rooms import pick
from rondo.filters.seam import Outgoing
from rondo.jobs.components import Component
from rondo.jobs.findings import Findings
from rondo.jobs.mmar import CUSTOM, ENVIRONMENT, TRAIN, Mmar, as_choice, known_as
from rondo.tensors.dtypes import Kind, dtype_of, from_float64, kind_of
from rondo.trainers._mmar_wiring import Wiring
from rondo.trainers._team import ALONE, Team

COMPAT = Path(__file__).parents[1] / "compat"


def use_compat() -> None:
    """Let Python find Clara's names, before another installation of them."""
    if str(COMPAT) not in sys.path:
        sys.path.insert(0, str(COMPAT))


class Clara:
    """``keys``, ``values``, ``names`` (constants) and ``events`` of Clara, and what is made by them."""

    def __init__(self) -> None:
        use_compat()
        constants = importlib.import_module("nvflare.apis.fl_constant")
        self.keys, self.values, self.names = constants.ShareableKey, constants.ShareableValue, constants.FLConstants
        self.events = importlib.import_module("nvflare.apis.event_type").EventType
        self.context = importlib.import_module("nvflare.apis.fl_context").FLContext
        self.model = importlib.import_module("nvflare.apis.model").Model
        self.signal = importlib.import_module("nvflare.common.signal").Signal
        self._shareable = importlib.import_module("nvflare.apis.shareable").Shareable

    def shareable(self, kind: str, tensors: Mapping[str, Any], meta: Mapping[str, Any]) -> Any:
        """A Shareable of these arrays."""
        made = self._shareable()
        made[self.keys.TYPE], made[self.keys.DATA_TYPE] = kind, self.values.DATA_TYPE_UNENCRYPTED
        made[self.keys.MODEL_WEIGHTS], made[self.keys.META] = dict(tensors), dict(meta)
        return made

    def weights(self, made: Any, who: str) -> tuple[str, Mapping[str, Any]]:
        """Type and arrays of a Shareable of weights. Raises ``BadInput`` for anything else that ``who`` returned."""
        kind = made.get(self.keys.TYPE) if isinstance(made, Mapping) else type(made).__name__
        if not isinstance(made, Mapping) or kind not in (self.values.TYPE_WEIGHTS, self.values.TYPE_WEIGHT_DIFF):
            why = (made.get(self.keys.META) or {}).get("failure", "") if isinstance(made, Mapping) else ""
            raise BadInput(
                f"{who} returned {kind!r}, neither weights nor their difference", where=CUSTOM, hint=str(why)
            )
        arrays = made.get(self.keys.MODEL_WEIGHTS)
        if not isinstance(arrays, Mapping):
            raise BadInput(f"{who}: the Shareable has no {self.keys.MODEL_WEIGHTS!r}", where=CUSTOM)
        return str(kind), arrays

    def about(self, mmar: Mmar, side: str, workspace: Path, team: Team = ALONE) -> Any:
        """The context of one side: who it is, of how many, and where its MMAR is. ``multi_gpu`` says, as with Clara's
        launcher, whether several processes train, whatever the config says."""
        context, names = self.context(), self.names
        config = mmar.files[TRAIN].plain() if TRAIN in mmar.files else {}
        several = team.size > 1
        environment = mmar.environment() if ENVIRONMENT in mmar.files else {}
        args = SimpleNamespace(
            train_config={**config, "multi_gpu": several}, env={**environment, **mmar.given}, local_rank=team.rank,
            mmar=str(mmar.folder),
        )  # fmt: skip
        for key, value in (
            (names.ARGS, args), (names.MMAR_ROOT, str(mmar.folder)), (names.TRAIN_ROOT, str(mmar.folder)),
            (names.LOG_DIR, str(mmar.folder / "models")), (names.WORKSPACE, str(workspace)),
            (names.MY_RANK, team.rank), (names.NUMBER_OF_GPUS, team.size), (names.MULTI_GPU, several),
        ):  # fmt: skip
            context.set_prop(key, value)
        context.set_prop(names.CLIENT_NAME, side, private=False)
        return context


class Company:
    """Components of one side; every event of the run goes to each of them, in their order."""

    def __init__(self, members: Sequence[Any], events: Any, context: Any) -> None:
        self._members, self._context = members, context
        self.fire(events.START_RUN)
        # END_RUN in order, then the last calls in order: Python does last what it was told first, and tells failures.
        for one in reversed(members):
            if hasattr(one, "finalize"):
                atexit.register(one.finalize, context)
        for one in reversed(members):
            if hasattr(one, "handle_event"):
                atexit.register(one.handle_event, events.END_RUN, context)

    def fire(self, event: str) -> None:
        """Tell all of them."""
        for one in self._members:
            if hasattr(one, "handle_event"):
                one.handle_event(event, self._context)


def own_of(section: str, key: str, wiring: Wiring) -> list[Any]:
    """What is of one's own in a list, or under a key of its own."""
    return [wiring.make(one, "", "") for one in wiring.sections.listed(section, key) if not known_as(one)]


def filters_of(components: Sequence[Component], wiring: Wiring, clara: Clara) -> list[Any]:
    """Filters as Clara's, of one's own and Rondo's; without those that do nothing."""
    found = []
    for one in components:
        if not known_as(one):
            found.append(wiring.make(one, "", ""))
        elif (choice := as_choice(one, Findings())) is not None:
            module = pick("rondo.filters", choice.name)
            built = module.build(decode(module.Options, choice.options, choice.place or f"filter {choice.name}"))
            found.append(BuiltIn(built, clara))
    return found


class BuiltIn:
    """A filter of Rondo's as one of Clara's: it changes the weights in a Shareable, which are whole in memory.

    Its chance is this process's own, which nobody else knows.
    """

    def __init__(self, built: Any, clara: Clara) -> None:
        self._filter, self._clara = built, clara
        self._rng = np.random.default_rng()

    def process(self, shareable: Any, fl_ctx: Any) -> Any:
        """The same Shareable. Raises ``BadInput`` as the filter does."""
        _, weights = self._clara.weights(shareable, "what comes to a filter")
        arrays = {name: as_array(value) for name, value in weights.items()}
        dtypes = {name: dtype_of(array.dtype) for name, array in arrays.items()}
        floats = {name for name, dtype in dtypes.items() if kind_of(dtype) is Kind.FLOAT}
        wide = {name: array.astype(np.float64) if name in floats else array for name, array in arrays.items()}
        meta = shareable.get(self._clara.keys.META) or {}
        steps = float(meta.get(self._clara.names.NUM_STEPS_CURRENT_ROUND) or 0.0)
        passed = self._filter.apply(Outgoing(wide, dtypes, steps=steps), self._rng).tensors
        shareable[self._clara.keys.MODEL_WEIGHTS] = {
            name: from_float64(passed[name], dtypes[name]) if name in floats else passed[name] for name in passed
        }
        return shareable


def as_array(value: Any) -> Any:
    """A numpy array of an array or a tensor."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
