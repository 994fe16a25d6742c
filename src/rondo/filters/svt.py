"""Send a noisy, randomly chosen fraction of the changes: the sparse vector technique.

Clara's SVTPrivacy, after Li et al. 2019, "Privacy-preserving federated brain tumour segmentation"
(arXiv:1910.00962), with its flaw mended: what is sent is chosen without replacement and everything else is zero,
where the original leaves accepted values that were not chosen without noise (``literal`` does, too). The budgets
hold for one update of one round; nothing here adds them up, so over a run this is a heuristic, not a guarantee.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.filters.seam import Computed, Filter, Outgoing
from rondo.tensors.dtypes import Array, Block

_TRIES = 1000
_PIECE = 1 << 20


class Options(base.Options, frozen=True):
    """``fraction`` of the changes that is sent, above 0 to 1; ``epsilon``: budget of choosing them; ``noise_var``:
    budget of their noise (a third epsilon, in spite of its name); ``gamma``: the largest change sent; ``tau``: the
    size from which a change is likely to be chosen. Sizes are per local step. ``keep_scalars``: send tensors of
    shape () as they are, as Clara does. ``literal``: choose with replacement, and send what was accepted but not
    chosen as it is, as Clara does: no privacy for those values.
    """

    fraction: float = 0.1
    epsilon: float = 0.1
    noise_var: float = 0.1
    gamma: float = 1e-5
    tau: float = 1e-6
    keep_scalars: bool = False
    literal: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1, not {self.fraction}")
        for name in ("epsilon", "noise_var", "gamma", "tau"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a positive number, not {value}")


@dataclass(frozen=True)
class SparseVector:
    """Chooses entries by noisy comparison with a noisy threshold, and sends those, clipped, with noise."""

    options: Options

    def apply(self, outgoing: Outgoing, rng: np.random.Generator) -> Outgoing:
        """See ``Filter.apply``. Memory: a few times the whole update in float64, for the choice is among all of it.

        Raises ``BadInput`` where the options let (nearly) nothing pass.
        """
        steps = outgoing.steps or 1.0
        parts: dict[str, tuple[slice, tuple[int, ...]]] = {}
        flats: list[Block] = []
        at = 0
        for name in outgoing.floats():
            change = outgoing.difference(name)
            if self.options.keep_scalars and not change.shape:
                continue
            parts[name] = slice(at, at + change.size), change.shape
            flats.append(change.reshape(-1))
            at += change.size
        if not at:
            return outgoing
        changes = np.concatenate(flats)
        flats.clear()
        sent = self._answers(np.divide(changes, steps, out=changes), rng)
        np.multiply(sent, steps, out=sent)

        def made(name: str) -> Array:
            if name not in parts:
                return outgoing.tensors[name]
            place, shape = parts[name]
            return sent[place].reshape(shape)

        return replace(outgoing, tensors=Computed(outgoing.dtypes, made))

    def _answers(self, changes: Block, rng: np.random.Generator) -> Block:
        """What is sent in place of all changes (1-d, per step): noisy values of the chosen, zero elsewhere."""
        gamma = self.options.gamma
        whole = changes.copy() if self.options.literal else None
        np.clip(changes, -gamma, gamma, out=changes)
        accepted, wanted = self._accepted(changes, rng)
        chosen = rng.choice(accepted, wanted, replace=self.options.literal)
        noise = rng.laplace(0.0, 2 * gamma / self.options.noise_var, chosen.size)
        answers = np.zeros_like(changes)
        if whole is not None:
            answers[accepted] = whole[accepted]
            changes = whole
        answers[chosen] = np.clip(changes[chosen] + noise, -gamma, gamma)
        return answers

    def _accepted(self, changes: Block, rng: np.random.Generator) -> tuple[NDArray[np.intp], int]:
        """Indices of the changes whose noisy size reached the threshold, and how many of them are to be sent."""
        gamma, epsilon = self.options.gamma, self.options.epsilon
        wanted = min(math.ceil(changes.size * self.options.fraction), changes.size)
        threshold = self.options.tau + rng.laplace(0.0, 2 * gamma / epsilon)
        scale = 4 * gamma * wanted / (epsilon * (2 * wanted) ** (2 / 3))
        accepted = np.zeros(changes.size, np.bool_)
        for _ in range(_TRIES):
            for start in range(0, changes.size, _PIECE):
                waiting = np.flatnonzero(~accepted[start : start + _PIECE]) + start
                noise = rng.laplace(0.0, scale, waiting.size)
                accepted[waiting] = np.abs(changes[waiting]) + noise >= threshold
            if np.count_nonzero(accepted) >= wanted:
                return np.flatnonzero(accepted), wanted
        raise BadInput(
            f"{_TRIES} tries let only {np.count_nonzero(accepted)} of {wanted} changes pass",
            where="filter svt",
            hint="lower tau, or raise gamma",
        )


def build(options: Options) -> Filter:
    """The filter."""
    return SparseVector(options)
