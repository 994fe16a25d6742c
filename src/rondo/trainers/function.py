"""A class of the job with ``train`` and ``validate``: the plainest trainer, for any library or none.

``class`` names it ("module:Class"); it is made once, ``Class(site, **args)``, and called for each round.
``train(model, task)`` returns ``rondo.Update``, ``(tensors, samples)`` or ``(tensors, samples, metrics)``, where the
metrics are of the trained model. ``validate(model, task)``, which it need not have, returns ``(samples, metrics)``
or ``metrics``. ``local_best(model)``, which it need not have either, returns the update that is its best local model,
for cross-site validation; without it the best of what ``train`` returned is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.jobs.task import Site, Task, Update
from rondo.trainers.seam import Model, named

RANKS = True  # it may run in several processes that torchrun started


class Options(BaseOptions, frozen=True):
    """``class`` is "module:Class" of the job; ``args`` go to it by name."""

    class_: str = msgspec.field(name="class")
    args: dict[str, Any] = msgspec.field(default_factory=dict)


class FunctionTrainer:
    """The user's object, its short forms spelled out."""

    def __init__(self, user: Any) -> None:
        self._user = user
        self.evaluates = hasattr(user, "validate")

    def train(self, model: Model, task: Task) -> Update:
        match self._user.train(model, task):
            case (tensors, samples):
                return Update(tensors, samples)
            case (tensors, samples, metrics):
                return Update(tensors, samples, local_metrics=metrics)
            case update:
                return update  # type: ignore[no-any-return]  # the worker says what is wrong with anything else

    def local_best(self, model: Model) -> Update | None:
        """Its own best model, where the user's object keeps one (None: the worker has kept it)."""
        return self._user.local_best(model) if hasattr(self._user, "local_best") else None

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        match self._user.validate(model, task):
            case (samples, metrics):
                return samples, metrics
            case Mapping() as metrics:
                return 1.0, metrics
            case other:
                got = "nothing" if other is None else f"a {type(other).__name__}"
                raise BadInput(f"validate returned {got}", where="trainer", hint="return (samples, metrics)")


def build(options: Options, site: Site) -> FunctionTrainer:
    """Raises ``BadInput`` where the class is not there or cannot train; whatever importing or making it raises."""
    made = named(options.class_, "class")(site, **options.args)
    if not callable(getattr(made, "train", None)):
        raise BadInput(f"{options.class_} has no train(model, task)", where="class")
    return FunctionTrainer(made)
