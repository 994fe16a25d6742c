"""A stretch of the next model: the updates are laid out for the rule, and what it makes of them is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import frexp, ldexp
from pathlib import Path

import numpy as np

from rondo.aggregate._blame import blame
from rondo.aggregate._blocks import Blocks, demand_finite
from rondo.aggregate._memory import Memory
from rondo.aggregate._plan import Run
from rondo.aggregate.seam import Column, Contribution, Fold, Rule
from rondo.tensors.dtypes import Array, Block, Floats, Kind, dtype_of, from_float64, kind_of, to_float64
from rondo.tensors.finite import first_nonfinite
from rondo.tensors.layout import Layout


@dataclass(frozen=True)
class Ground:
    """What does not change while a round is folded."""

    base: Path
    model: Layout
    rule: Rule
    memory: Memory | None


@dataclass(frozen=True)
class Made:
    """A stretch of the next model and of what the rule remembers, as their files hold it.

    The arrays are those of ``table``: they are overwritten when it makes the next stretch.
    """

    table: Table
    model: Array
    memory: Array | None


class Table:
    """Where one thread lays out blocks. Any number of tables give the same bits."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._blocks = Blocks()
        rule = ground.rule
        self._reduce = partial(self._column, rule) if isinstance(rule, Column) else partial(self._fold, rule)

    def make(self, part: Run) -> Made:
        """The next model where ``part`` is."""
        ground, kind = self._ground, kind_of(part.dtype)
        if kind is Kind.FLOAT and part.senders:
            # An overflow is no news: the result is looked at anyway.
            with np.errstate(over="ignore", invalid="ignore"):
                return self._floats(part)
        if kind is Kind.INTEGER and part.senders:
            return Made(self, self._largest(part), None)
        kept = None
        if ground.memory is not None and kind is Kind.FLOAT:
            kept = ground.memory.unchanged(part, self._blocks)
        return Made(self, self._blocks.read("base", ground.base, part.start, part), kept)

    def _floats(self, part: Run) -> Made:
        """By the rule, in float64. Differences alone are folded as they are, and the base is added once."""
        blocks, memory, kept = self._blocks, self._ground.memory, None
        kinds = {sent.kind for sent, _ in part.senders}
        relative = kinds == {"diff"}
        scaled = any(sent.scale != 1.0 for sent, _ in part.senders)
        base = blocks.base(self._ground.base, part) if memory or scaled or "diff" in kinds else None
        result = self._reduce(part, None if relative else base)
        if base is not None and memory is not None:
            if not relative:
                np.subtract(result, base, out=result)
            kept = memory.step(part, result, blocks)
        if base is not None and (memory or relative):
            np.add(result, base, out=result)
        flat = from_float64(result, part.dtype, blocks.array("sent", part.count, part.dtype))
        self._look(part, flat, kept)
        return Made(self, flat, kept)

    def _column(self, rule: Column, part: Run, base: Block | None) -> Block:
        """What the rule makes of the updates; ``base`` is added to those that are differences, where given."""
        blocks, number = self._blocks, len(part.senders)
        short = base is None and part.dtype != "F64"
        rows: Sequence[Floats] = blocks.short_rows(part, number) if short else blocks.rows(part, number)
        for row, (sent, offset) in zip(rows, part.senders, strict=True):
            blocks.values(part, sent, offset, row)
            demand_finite(self._ground.model, part, row, f"update of {sent.site}")
            _place(sent, row, base)
        result = rule.reduce(rows, [sent.weight for sent, _ in part.senders])
        return to_float64(result, dtype_of(result.dtype), blocks.block("total", part.count))

    def _fold(self, rule: Fold, part: Run, base: Block | None) -> Block:
        """As ``_column``, one update after the other.

        The mean of equal numbers is that number but for the last bit of a float64, which only F64 can hold: there all
        is reckoned from the first update on, and what does not differ from it stays as it is. Weights are scaled by
        a power of two, which rounds nothing, so that no sum is larger than what it is the mean of.
        """
        total, values = self._blocks.block("total", part.count), self._blocks.block("values", part.count)
        origin = self._blocks.block("origin", part.count) if part.dtype == "F64" else None
        scale = len(part.senders).bit_length() + max(frexp(sent.weight)[1] for sent, _ in part.senders)
        weights = [ldexp(sent.weight, -scale) for sent, _ in part.senders]
        for place, (sent, offset) in enumerate(part.senders):
            self._blocks.values(part, sent, offset, values)
            _place(sent, values, base)
            if origin is not None:
                if not place:
                    np.copyto(origin, values)
                np.subtract(values, origin, out=values)
            rule.add(total, values, weights[place], not place)
        rule.finish(total, sum(weights))
        return total if origin is None else np.add(total, origin, out=total)

    def _largest(self, part: Run) -> Array:
        """The maximum over the sites. Differences wrap around in their dtype, and so does adding them: exact."""
        blocks = self._blocks
        base = blocks.read("base", self._ground.base, part.start, part)
        largest = blocks.array("largest", part.count, part.dtype)
        for place, (sent, offset) in enumerate(part.senders):
            flat = blocks.read("sent", sent.path, offset, part)
            if sent.kind == "diff":
                np.add(base, flat, out=flat)
            if place:
                np.maximum(largest, flat, out=largest)
            else:
                np.copyto(largest, flat)
        return largest

    def _look(self, part: Run, flat: Array, kept: Array | None) -> None:
        """Only what is finite goes on; otherwise say whose it was."""
        bad = first_nonfinite(flat, part.dtype)
        if bad is None and kept is not None and self._ground.memory is not None:
            bad = self._ground.memory.first_bad(part, kept)
        if bad is not None:
            blame(self._ground.base, self._ground.model, part, bad)


def _place(sent: Contribution, values: Floats, base: Block | None) -> None:
    """Scale what a site sent, and where ``base`` is given make of a difference what it is the difference to."""
    if sent.scale != 1.0:
        if sent.kind == "weights" and base is not None:
            np.subtract(values, base, out=values)
        np.multiply(values, sent.scale, out=values)
    if base is not None and (sent.kind == "diff" or sent.scale != 1.0):
        np.add(base, values, out=values)
