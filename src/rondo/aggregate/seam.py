"""What an aggregation rule is, and what it gets.

A rule is pure arithmetic on blocks: 1-d float64 arrays that hold the same stretch of the model from one site each.
It never sees files, names, dtypes or shapes; ``rondo.aggregate.folding`` takes care of those. A module of this
room with ``Options`` and ``build(options)`` is a rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.base.rooms import pick
from rondo.tensors.dtypes import Block


@dataclass(frozen=True)
class Contribution:
    """One site's update of a round, whole and on disk.

    ``kind``: the file holds new weights, or their difference to the model the site received. ``weight``, finite
    and > 0, is relative to the other sites'. ``omitted`` names tensors the site kept at home; the file must not
    hold them. Raises ``BadInput`` for any other kind or weight.
    """

    site: str
    path: Path
    kind: Literal["weights", "diff"]
    weight: float
    omitted: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        where = f"contribution of {self.site}"
        if self.kind not in ("weights", "diff"):
            raise BadInput(f"unknown kind {self.kind!r}", where=where, hint="known: diff, weights")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise BadInput(f"weight {self.weight} is not a positive number", where=where)


@runtime_checkable
class Fold(Protocol):
    """A rule that takes one site's block after the other, in the order of the sites' names."""

    def add(self, total: Block, update: Block, weight: float, seen: float) -> None:
        """Take ``update`` into ``total``, in place.

        ``weight`` > 0 is this site's; ``seen`` is the sum of the weights that ``total`` already stands for: at 0
        the block is the first and ``total`` holds nothing of meaning. ``update`` may be overwritten. After the
        last site ``total`` is the result.
        """


@runtime_checkable
class Column(Protocol):
    """A rule that needs the blocks of all sites at once."""

    def reduce(self, rows: Sequence[Block], weights: Sequence[float]) -> Block:
        """The result, from one row and one weight per site, in the order of the sites' names.

        The rows may be overwritten, and the result may be one of them.
        """


Rule = Fold | Column


def build_rule(name: str, options: Mapping[str, Any]) -> Rule:
    """The rule ``name`` with the options that people wrote.

    Raises ``NotFound`` for an unknown rule, ``BadInput`` that names the offending option.
    """
    module = pick("rondo.aggregate", name)
    rule: Rule = module.build(decode(module.Options, options, f"aggregator {name}"))
    return rule
