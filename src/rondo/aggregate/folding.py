"""Fold the updates of a round into the next model, out of core: the same stretch of every file, block by block.

Memory is O(sites x segment) at most, whatever the size of the model. Sites are taken in the order of their names
and floats are added up in float64, so equal contributions give equal bytes, in whatever order they came.

Policy by dtype. Floats: the rule. Integers: the largest value that a site sent (they are counters, such as
BatchNorm's ``num_batches_tracked``: exact, and independent of order). Bools: kept from the base model. A tensor
that only some sites sent is folded over those; one that nobody sent keeps its base value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from rondo.aggregate._plan import Run, Source, runs
from rondo.aggregate.seam import Column, Contribution, Rule
from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo
from rondo.tensors.dtypes import Array, Block, Kind, from_float64, item_size, kind_of, numpy_dtype, to_float64
from rondo.tensors.files import TensorWriter, read_into
from rondo.tensors.finite import first_nonfinite, not_finite
from rondo.tensors.layout import Layout, read_layout, require_same

SEGMENT = 1 << 20
"""Bytes of a file that are read at once."""
_COLUMN = 8 << 20
"""Bytes of float64 that the rows of a column rule may take together, before its blocks get shorter."""
_SHORTEST = 4096
"""Elements: a column's blocks do not get shorter than this."""


def fold(
    base: Path,
    contributions: Sequence[Contribution],
    rule: Rule,
    out: Path,
    *,
    segment_bytes: int = SEGMENT,
    progress: Callable[[float], None] | None = None,
) -> FileInfo:
    """Write to ``out`` what ``rule`` makes of the contributions; it has the tensors of ``base``, in its order.

    ``base`` is the model that the sites received: a "diff" is added to it before the rule sees it. ``progress``
    is called after every block with the fraction done, 1.0 at the end. ``out`` appears whole or not at all.
    Raises ``BadInput`` that names site and tensor: no contribution, two of one site, a file that is not readable,
    not the model's layout or not finite, a result that is not finite; ``NoSpace`` where ``out`` cannot be written.
    """
    model = read_layout(base)
    sources = _fitting(model, contributions)
    table = _Table(base, model, rule)
    left = sum(tensor.nbytes for tensor in model.tensors)
    whole = max(left, 1)
    # An overflow is no news: the result is looked at anyway.
    with TensorWriter(out, model.specs()) as writer, np.errstate(over="ignore", invalid="ignore"):
        for run in runs(model, sources):
            for part in run.parts(_step(rule, run, segment_bytes)):
                writer.write(table.reduce(part))
                left -= part.nbytes
                if progress is not None and left:
                    progress(1 - left / whole)
        info = writer.close()
    if progress is not None:
        progress(1.0)
    return info


def _fitting(model: Layout, contributions: Sequence[Contribution]) -> list[Source]:
    """The contributions in the order of their sites' names, each with its layout."""
    if not contributions:
        raise BadInput("no contribution to fold", hint="a round needs at least one update")
    ordered = sorted(contributions, key=lambda sent: sent.site)
    for sent, following in pairwise(ordered):
        if sent.site == following.site:
            raise BadInput("contributed twice to one round", where=sent.site)
    sources = []
    for sent in ordered:
        layout = read_layout(sent.path)
        require_same(model, layout, sent.omitted, f"update of {sent.site}")
        sources.append(Source(sent, layout))
    return sources


def _step(rule: Rule, run: Run, segment_bytes: int) -> int:
    """Elements per block."""
    step = max(1, segment_bytes // item_size(run.dtype))
    if isinstance(rule, Column) and run.senders:
        step = min(step, max(_SHORTEST, _COLUMN // 8 // len(run.senders)))
    return step


class _Table:
    """Where blocks are laid out for the rule. Its arrays are used again for every block."""

    def __init__(self, base: Path, model: Layout, rule: Rule) -> None:
        self._base = base
        self._model = model
        self._rule = rule
        self._arrays: dict[tuple[str, np.dtype[np.generic]], Array] = {}

    def reduce(self, part: Run) -> Array:
        """The next model's elements where ``part`` is. They are overwritten by the next call."""
        kind = kind_of(part.dtype)
        if kind is Kind.BOOL or not part.senders:
            return self._read("base", self._base, part.start, part)
        if kind is Kind.INTEGER:
            return self._largest(part)
        result = from_float64(self._floats(part), part.dtype, self._array("result", part.count, part.dtype))
        self._demand_finite(part, result, f"fold of {len(part.senders)} updates")
        return result

    def _floats(self, part: Run) -> Block:
        """Part by the rule, in float64."""
        base = self._block("base64", part.count)
        if any(sent.kind == "diff" for sent, _ in part.senders):
            to_float64(self._read("base", self._base, part.start, part), part.dtype, base)
        if isinstance(self._rule, Column):
            matrix = self._block("rows", part.count * len(part.senders))
            rows = list(matrix.reshape(len(part.senders), part.count))
            for row, (sent, offset) in zip(rows, part.senders, strict=True):
                self._values(part, sent, offset, base, row)
            return self._rule.reduce(rows, [sent.weight for sent, _ in part.senders])
        total, values, seen = self._block("total", part.count), self._block("values", part.count), 0.0
        for sent, offset in part.senders:
            self._values(part, sent, offset, base, values)
            self._rule.add(total, values, sent.weight, seen)
            seen += sent.weight
        return total

    def _values(self, part: Run, sent: Contribution, offset: int, base: Block, out: Block) -> None:
        """The weights that a site stands for, into ``out``."""
        flat = self._read("sent", sent.path, offset, part)
        self._demand_finite(part, flat, f"update of {sent.site}")
        to_float64(flat, part.dtype, out)
        if sent.kind == "diff":
            np.add(base, out, out=out)

    def _largest(self, part: Run) -> Array:
        """The maximum over the sites. Differences wrap around in their dtype, and so does adding them: exact."""
        base = self._read("base", self._base, part.start, part)
        largest = self._array("result", part.count, part.dtype)
        for number, (sent, offset) in enumerate(part.senders):
            flat = self._read("sent", sent.path, offset, part)
            if sent.kind == "diff":
                np.add(base, flat, out=flat)
            if number:
                np.maximum(largest, flat, out=largest)
            else:
                np.copyto(largest, flat)
        return largest

    def _demand_finite(self, part: Run, flat: Array, where: str) -> None:
        bad = first_nonfinite(flat, part.dtype)
        if bad is not None:
            at = part.start + bad * item_size(part.dtype)
            tensor = self._model.at(at)
            raise not_finite(tensor.name, (at - tensor.start) // item_size(part.dtype), where)

    def _read(self, key: str, path: Path, offset: int, part: Run) -> Array:
        flat = self._array(key, part.count, part.dtype)
        read_into(path, offset, flat)
        return flat

    def _array(self, key: str, count: int, dtype: str) -> Array:
        kind = numpy_dtype(dtype)
        found = self._arrays.get((key, kind))
        if found is None or len(found) < count:
            found = self._arrays[key, kind] = np.empty(count, kind)
        return found[:count]

    def _block(self, key: str, count: int) -> Block:
        return cast(Block, self._array(key, count, "F64"))
