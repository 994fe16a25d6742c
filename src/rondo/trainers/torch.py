"""A PyTorch module trained by functions of the job, so that no one writes the conversions again.

``model`` names a function that makes the module (called with ``args``), ``data`` one that is given the site and
returns the training data (anything with a length; a ``DataLoader`` counts its data set), ``train`` one that runs
one epoch: ``train(module, data, task)``, and may return metrics. ``validate(module, task)``, if named, returns
``(samples, metrics)`` or ``metrics``. torch is seeded with the task's seed before each.
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


class Options(BaseOptions, frozen=True):
    """``epochs`` of training each round. ``device``: "cpu", "cuda", "cuda:1"; "" takes CUDA where there is any."""

    model: str
    data: str
    train: str
    validate: str = ""
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    epochs: int = 1
    device: str = ""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be 1 or more, is {self.epochs}")


class TorchTrainer:
    """See the module. One PyTorch module, loaded anew for each task."""

    def __init__(self, options: Options, site: Site) -> None:
        self._torch = importlib.import_module("torch")
        device = options.device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        self._module = named(options.model, "model")(**options.args).to(device)
        self._train, self._epochs = named(options.train, "train"), options.epochs
        self._validate = named(options.validate, "validate") if options.validate else None
        self._data = named(options.data, "data")(site)
        self.evaluates = self._validate is not None

    def train(self, model: Model, task: Task) -> Update:
        self._load(model, task)
        self._module.train()
        metrics: Mapping[str, float] = {}
        for _ in range(self._epochs):
            metrics = self._train(self._module, self._data, task) or {}
        # Copies: the module goes on being trained while the update is still wanted.
        tensors = {name: value.detach().cpu().clone() for name, value in self._module.state_dict().items()}
        return Update(tensors, samples=_count(self._data), local_metrics=metrics)

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        if self._validate is None:
            raise BadInput("names no function to validate with", where="trainer torch", hint="validate = 'module:name'")
        self._load(model, task)
        self._module.eval()
        with self._torch.no_grad():
            match self._validate(self._module, task):
                case (samples, metrics):
                    return samples, metrics
                case Mapping() as metrics:
                    return 1.0, metrics
        raise BadInput("must return (samples, metrics)", where="validate")

    def _load(self, model: Model, task: Task) -> None:
        self._torch.manual_seed(task.seed)
        own = self._module.state_dict()
        self._module.load_state_dict({name: self._tensor(model[name], own.get(name)) for name in model})

    def _tensor(self, array: Any, like: Any) -> Any:
        """A copy; ``uint16`` where the module has bfloat16 is its bits."""
        tensor = self._torch.from_numpy(np.array(array, order="C"))
        bits = like is not None and like.dtype == self._torch.bfloat16 and tensor.dtype == self._torch.uint16
        return tensor.view(self._torch.bfloat16) if bits else tensor


def _count(data: Any) -> float:
    return float(len(getattr(data, "dataset", data)))


def build(options: Options, site: Site) -> TorchTrainer:
    """Raises ``BadInput`` for a name that is not there; whatever the job's functions raise."""
    return TorchTrainer(options, site)
