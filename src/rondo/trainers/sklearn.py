"""A linear model of scikit-learn, trained by ``partial_fit``: its ``coef_`` and ``intercept_`` are the model.

``estimator`` is a class of ``sklearn.linear_model`` that has ``partial_fit`` (SGDClassifier, SGDRegressor,
Perceptron, ...), made with ``args``. ``data`` names a function that is given the site and returns ``(X, y)`` or
``(X, y, X_held_out, y_held_out)``: X of shape (samples, features). ``classes`` are all there are in the federation.
The model has ``coef_`` of shape (1 or classes, features), or (features,) for a regressor, and ``intercept_``.
Evaluated on the held-out part: accuracy, for two classes also auc; for a regressor rmse.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.jobs.task import Site, Task, Update
from rondo.trainers.seam import Model, named

_TENSORS = ("coef_", "intercept_")


class Options(BaseOptions, frozen=True):
    """``epochs``: passes over the site's data in each round."""

    data: str
    estimator: str = "SGDClassifier"
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    classes: list[int | str] = msgspec.field(default_factory=list)
    epochs: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be 1 or more, is {self.epochs}")
        if len({type(label) for label in self.classes}) > 1:
            raise ValueError("classes must be all numbers or all text")


class SklearnTrainer:
    """See the module. Raises ``BadInput`` for an estimator, a function or classes that are not there."""

    def __init__(self, options: Options, site: Site) -> None:
        kind: Any = getattr(importlib.import_module("sklearn.linear_model"), options.estimator, None)
        if not hasattr(kind, "partial_fit"):
            raise BadInput(f"sklearn.linear_model has no {options.estimator!r} with partial_fit", where="estimator")
        self._kind, self._options = kind, options
        self._classifies = issubclass(kind, importlib.import_module("sklearn.base").ClassifierMixin)
        if self._classifies and len(options.classes) < 2:
            raise BadInput(f"{options.estimator} needs all classes there are", where="classes")
        self._x, self._y, *held_out = named(options.data, "data")(site)
        self._held_out = held_out
        self.evaluates = len(held_out) == 2

    def train(self, model: Model, task: Task) -> Update:
        estimator = self._estimator(model, task)
        known = {"classes": np.asarray(self._options.classes)} if self._classifies else {}
        for _ in range(self._options.epochs):
            estimator.partial_fit(self._x, self._y, **known)
        tensors = {name: getattr(estimator, name).astype(model[name].dtype) for name in _TENSORS}
        return Update(tensors, samples=float(len(self._y)), steps=float(len(self._y) * self._options.epochs))

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        x, y = self._held_out
        estimator = self._estimator(model, task)
        metrics = importlib.import_module("sklearn.metrics")
        if not self._classifies:
            return float(len(y)), {"rmse": float(np.sqrt(metrics.mean_squared_error(y, estimator.predict(x))))}
        found = {"accuracy": float(metrics.accuracy_score(y, estimator.predict(x)))}
        if len(self._options.classes) == 2 and len(np.unique(y)) == 2:
            found["auc"] = float(metrics.roc_auc_score(y, estimator.decision_function(x)))
        return float(len(y)), found

    def _estimator(self, model: Model, task: Task) -> Any:
        """A new one from the model, so that nothing but the model passes from round to round.

        What scikit-learn counts between calls, the steps that its learning rate follows, is set to what it would
        be had this site trained in each round before.
        """
        estimator = self._kind(**{"random_state": task.seed % 2**32, **self._options.args})
        # scikit-learn wants weights of the dtype that it computes in: float32 for data in float32, else float64.
        dtype = np.float32 if getattr(self._x, "dtype", None) == np.float32 else np.float64
        for name in _TENSORS:
            if name not in model:
                raise BadInput(f"the model has no tensor {name!r}", where="trainer sklearn")
            setattr(estimator, name, np.array(model[name], dtype))
        estimator.t_ = 1.0 + task.round * self._options.epochs * len(self._y)
        if self._classifies:
            estimator.classes_ = np.asarray(self._options.classes)
        estimator.n_features_in_ = estimator.coef_.shape[-1]
        return estimator


def build(options: Options, site: Site) -> SklearnTrainer:
    """Raises ``BadInput`` for a name that is not there; whatever the job's function raises."""
    return SklearnTrainer(options, site)
