"""Adaptive federated optimization: the mean of the sites' changes is the gradient of an optimizer at the server.

Reddi et al. 2020, "Adaptive federated optimization" (arXiv:2003.00295), algorithm 2; "momentum" is FedAvgM (Hsu et
al. 2019, arXiv:1909.06335). The moments are remembered from round to round and committed with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rondo.aggregate.mean import Mean
from rondo.aggregate.seam import Fold
from rondo.base import options as base
from rondo.tensors.dtypes import Block


class Options(base.Options, frozen=True):
    """``variant``: how the second moment grows, or "momentum" to do without one.

    ``learning_rate``: of the server's step; None is 0.1, and 1.0 for "momentum". ``beta1``: how much of the first
    moment is kept; None is 0.9, and 0.0 for "adagrad". ``beta2``: how much of the second moment "adam" and "yogi"
    keep. ``tau``: the floor under its root, the larger the less adaptive. Betas and tau are those of the paper's
    experiments, which tune the learning rate for each task: tune yours.
    """

    variant: Literal["adam", "yogi", "adagrad", "momentum"] = "adam"
    learning_rate: float | None = None
    beta1: float | None = None
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not 0 < self.learning_rate <= 1e6:
            raise ValueError(f"learning_rate must be over 0 and at most 1e6, is {self.learning_rate}")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, is {value}")
        if not 1e-12 <= self.tau <= 1e6:
            raise ValueError(f"tau must be at least 1e-12 and at most 1e6, is {self.tau}")


@dataclass(frozen=True)
class Momentum(Mean):
    """m = beta1 m + change; the step is learning_rate x m."""

    learning_rate: float
    beta1: float

    @property
    def initial(self) -> tuple[float, ...]:
        return (0.0,)

    def step(self, change: Block, memory: Sequence[Block]) -> None:
        """See ``Remembers.step``."""
        (moment,) = memory
        np.multiply(moment, self.beta1, out=moment)
        np.add(moment, change, out=moment)
        np.multiply(moment, self.learning_rate, out=change)


@dataclass(frozen=True)
class Adaptive(Mean):
    """m = beta1 m + (1 - beta1) change; v by the variant; the step is learning_rate x m / (sqrt(v) + tau)."""

    options: Options
    learning_rate: float
    beta1: float

    @property
    def initial(self) -> tuple[float, ...]:
        return 0.0, self.options.tau**2

    def step(self, change: Block, memory: Sequence[Block]) -> None:
        """See ``Remembers.step``."""
        first, second = memory
        square = np.square(change)
        self._grow(second, square)
        np.multiply(first, self.beta1, out=first)
        np.multiply(change, 1 - self.beta1, out=change)
        np.add(first, change, out=first)
        np.sqrt(second, out=square)
        np.add(square, self.options.tau, out=square)
        np.multiply(first, self.learning_rate, out=change)
        np.divide(change, square, out=change)

    def _grow(self, second: Block, square: Block) -> None:
        """Take the squared change into the second moment; both may be overwritten."""
        rest = 1 - self.options.beta2
        match self.options.variant:
            case "adagrad":
                np.add(second, square, out=second)
            case "adam":
                np.multiply(second, self.options.beta2, out=second)
                np.multiply(square, rest, out=square)
                np.add(second, square, out=second)
            case _:
                sign = np.sign(second - square)
                np.multiply(square, rest, out=square)
                np.multiply(square, sign, out=square)
                np.subtract(second, square, out=second)


def build(options: Options) -> Fold:
    """The rule."""
    momentum = options.variant == "momentum"
    rate = options.learning_rate if options.learning_rate is not None else 1.0 if momentum else 0.1
    beta1 = options.beta1 if options.beta1 is not None else 0.0 if options.variant == "adagrad" else 0.9
    return Momentum(rate, beta1) if momentum else Adaptive(options, rate, beta1)
