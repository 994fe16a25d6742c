"""What an aggregation rule is, and what it gets.

A rule is pure arithmetic on blocks: 1-d float64 arrays that hold the same stretch of the model from one site each.
It never sees files, names, dtypes or shapes; ``rondo.aggregate.folding`` takes care of those. A module of this
room with ``Options`` and ``build(options)`` is a rule: a ``Fold`` or a ``Column``, which may also be a ``Survey``
(it looks at all of every update before it says whose count) or ``Remembers`` (what it learns in one round it has
in the next). ``Options`` may have a property ``least_updates``: with fewer in a round the rule means nothing.
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
from rondo.tensors.dtypes import Block, Floats


@dataclass(frozen=True)
class Contribution:
    """One site's update of a round, whole and on disk.

    ``kind``: the file holds new weights, or their difference to the model the site received. ``weight``, finite
    and > 0, is relative to the other sites'. ``omitted`` names tensors the site kept at home; the file must not
    hold them. ``unused``: names of those that do not count. ``scale`` > 0: floats count by so much of their difference
    to the base model. Raises ``BadInput`` for any other kind, weight or scale.
    """

    site: str
    path: Path
    kind: Literal["weights", "diff"]
    weight: float
    omitted: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()
    scale: float = 1.0

    def __post_init__(self) -> None:
        where = f"contribution of {self.site}"
        if self.kind not in ("weights", "diff"):
            raise BadInput(f"unknown kind {self.kind!r}", where=where, hint="known: diff, weights")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise BadInput(f"weight {self.weight} is not a positive number", where=where)
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise BadInput(f"scale {self.scale} is not a positive number", where=where)


@runtime_checkable
class Fold(Protocol):
    """A rule that takes one site's block after the other, in the order of the sites' names.

    It moves with its input: where the same block is subtracted from every update, the result is less by that
    block, too. NaN and infinity in an update must come through to the result, which alone is looked at.
    """

    def add(self, total: Block, update: Block, weight: float, first: bool) -> None:
        """Take ``update`` into ``total``, in place. ``update`` may be overwritten.

        ``weight`` is over 0 and, as the sum of all, at most 1. With ``first``, ``total`` holds nothing of meaning yet.
        """

    def finish(self, total: Block, whole: float) -> None:
        """Turn ``total`` into the result, in place; ``whole`` is the sum of the weights."""


@runtime_checkable
class Column(Protocol):
    """A rule that needs the blocks of all sites at once. It, too, moves with its input."""

    def reduce(self, rows: Sequence[Floats], weights: Sequence[float]) -> Floats:
        """The result, from one row and one weight per site, in the order of the sites' names.

        All rows are float32 where that holds the values exactly, else float64; sums are made in float64. The rows may
        be overwritten, and the result may be one of them.
        """


@runtime_checkable
class Survey(Protocol):
    """A rule that chooses among the sites by what it has seen of the whole model."""

    def look(self, rows: Sequence[Block]) -> Block:
        """What is to be known of these blocks: an array of one shape, which is added up over the model.

        One row a site, in the order of their names: its difference to the base model, 0 where it sent nothing.
        The rows may be overwritten.
        """

    def choose(self, seen: Block) -> Sequence[int]:
        """Places of the sites that count, in rising order; each with the same weight.

        Raises ``BadInput`` where there are too few to choose from.
        """


@runtime_checkable
class Remembers(Protocol):
    """A rule whose result is a direction: it steps from the base model, by that and by what it remembers."""

    initial: tuple[float, ...]
    """What it remembers of every element of the model, before the first round."""

    def step(self, change: Block, memory: Sequence[Block]) -> None:
        """Turn ``change``, the folded difference to the base model, into what is added to the base, in place.

        ``memory``, a block for each of ``initial``, is brought up to date in place.
        """


Rule = Fold | Column


def build_rule(name: str, options: Mapping[str, Any]) -> Rule:
    """The rule ``name`` with the options that people wrote.

    Raises ``NotFound`` for an unknown rule, ``BadInput`` that names the offending option.
    """
    module = pick("rondo.aggregate", name)
    rule: Rule = module.build(decode(module.Options, options, f"aggregator {name}"))
    return rule
