"""Krum and multi-Krum: the updates that lie closest to most others; the rest is left out, whole.

Blanchard et al. 2017, "Machine learning with adversaries: Byzantine tolerant gradient descent" (arXiv:1703.02757).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rondo.aggregate.mean import Mean
from rondo.aggregate.seam import Fold
from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Block

MOST = 1_000_000


class Options(base.Options, frozen=True):
    """``byzantine``: how many sites may be wrong or hostile (the paper's f). A round needs 2 x byzantine + 3 updates.

    ``keep``: how many updates are kept and averaged (the paper's m); 1 is Krum, more is multi-Krum. At most as many
    as the round's updates less ``byzantine`` + 2 are. Weights do not count.
    """

    byzantine: int = 1
    keep: int = 1

    def __post_init__(self) -> None:
        for name, least in (("byzantine", 0), ("keep", 1)):
            if not least <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} must be at least {least} and at most {MOST}, is {getattr(self, name)}")

    @property
    def least_updates(self) -> int:
        """With fewer updates in a round the paper promises nothing."""
        return max(2 * self.byzantine + 3, self.keep + self.byzantine + 2)


@dataclass(frozen=True)
class Krum(Mean):
    """The mean of those whose squared distances to their n - f - 2 nearest add up to the least."""

    options: Options

    def look(self, rows: Sequence[Block]) -> Block:
        """Squared distances of every two rows (n x n)."""
        found = np.zeros((len(rows), len(rows)))
        spare = np.empty_like(rows[0])
        for place, row in enumerate(rows):
            for other in range(place):
                np.subtract(row, rows[other], out=spare)
                # Not a dot product: that of a BLAS depends on the processor and the number of its threads.
                found[place, other] = found[other, place] = np.einsum("i,i->", spare, spare)
        return found

    def choose(self, seen: Block) -> Sequence[int]:
        """See ``Survey.choose``; of equals the first by name."""
        number, least = len(seen), self.options.least_updates
        if number < least:
            raise BadInput(
                f"krum with byzantine = {self.options.byzantine} and keep = {self.options.keep} needs {least} updates, "
                f"this round has {number}",
                hint="raise min_clients, or lower byzantine or keep",
            )
        near = number - self.options.byzantine - 2
        # The nearest of each row is the site itself, at distance 0.
        scores = np.sort(np.nan_to_num(seen, nan=np.inf), axis=1)[:, 1 : 1 + near].sum(axis=1)
        return sorted(np.argsort(scores, kind="stable")[: self.options.keep].tolist())


def build(options: Options) -> Fold:
    """The rule."""
    return Krum(options)
