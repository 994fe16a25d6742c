"""Fold the updates of a round into the next model, out of core: the same stretch of every file, block by block.

Memory is O(sites x segment) at most, whatever the size of the model. Sites are taken in the order of their names
and floats are added up in float64, so equal contributions give equal bytes, in whatever order they came and on
however many threads.

Policy by dtype. Floats: the rule. Integers: the largest value that a site sent (they are counters, such as
BatchNorm's ``num_batches_tracked``: exact, and independent of order). Bools: kept from the base model. A tensor
that only some sites sent is folded over those; one that nobody sent keeps its base value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rondo.aggregate._memory import Memory, memory_of
from rondo.aggregate._plan import Run, Source, runs
from rondo.aggregate._survey import survey
from rondo.aggregate._table import Ground, Made, Table
from rondo.aggregate.seam import Column, Contribution, Remembers, Rule, Survey
from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo
from rondo.tensors.dtypes import item_size
from rondo.tensors.files import TensorWriter
from rondo.tensors.layout import Layout, read_layout, require_same

SEGMENT = 512 << 10
"""Bytes of a file that are read at once: with what is made of them, about what a core has of cache to itself."""
_COLUMN = 2 << 20
"""Bytes that the rows of a column rule take together, so that they stay in the processor's cache."""
_SHORTEST = 4096
"""Elements: a column's blocks do not get shorter than this."""

Each = Callable[[Callable[[Run], Any], Iterable[Run]], Generator[Any, None, None]]
"""Calls a function with one thing after the other and yields what it returns, in that order; perhaps on threads."""


def one_by_one(function: Callable[[Run], Any], parts: Iterable[Run]) -> Generator[Any, None, None]:
    """The plain ``Each``."""
    for part in parts:
        yield function(part)


@dataclass(frozen=True)
class Way:
    """How to go about it; the bits are the same in any way.

    ``progress`` is called after every block with the fraction done, 1.0 at the end.
    """

    segment_bytes: int = SEGMENT
    progress: Callable[[float], None] | None = None
    each: Each = one_by_one


@dataclass(frozen=True)
class Memories:
    """Files of what a rule remembers: that of the round before, where there was one, and that of this one."""

    before: Path | None
    after: Path


@dataclass(frozen=True)
class Folded:
    """The next model; what the rule remembers, where it does; and by site what it weighed, 0 for one left out."""

    model: FileInfo
    memory: FileInfo | None
    weights: Mapping[str, float]


def fold(
    base: Path,
    contributions: Sequence[Contribution],
    rule: Rule,
    out: Path,
    memories: Memories | None = None,
    way: Way = Way(),
) -> Folded:
    """Write to ``out`` what ``rule`` makes of the contributions; it has the tensors of ``base``, in its order.

    ``base`` is the model that the sites received: a "diff" is added to it. ``out`` appears whole or not at all, and
    so does ``memories.after``, which a rule that remembers needs. Raises ``BadInput`` that names site and tensor: no
    contribution, two of one site, a file that is not readable, not the model's layout or not finite, a result that
    is not finite; ``NoSpace`` where ``out`` cannot be written.
    """
    model = read_layout(base)
    sources = _fitting(model, contributions)
    if isinstance(rule, Survey):
        sources = survey(rule, base, model, sources, way.each)
    ground = Ground(base, model, rule, _remembered(rule, model, memories))
    with ExitStack() as files:
        writer = files.enter_context(TensorWriter(out, model.specs()))
        notes = None
        if ground.memory is not None and memories is not None:
            notes = files.enter_context(TensorWriter(memories.after, ground.memory.schema))
        for made in _made(ground, sources, way):
            writer.write(made.model)
            if notes is not None and made.memory is not None:
                notes.write(made.memory)
        kept = None if notes is None else notes.close()
        info = writer.close()
    if way.progress is not None:
        way.progress(1.0)
    weights = {source.sent.site: source.sent.weight for source in sources}
    return Folded(info, kept, {sent.site: weights.get(sent.site, 0.0) for sent in contributions})


def _made(ground: Ground, sources: Sequence[Source], way: Way) -> Iterator[Made]:
    """The next model from its start to its end. A table is used again once what it made has been taken."""
    idle: list[Table] = []

    def make(part: Run) -> Made:
        return (idle.pop() if idle else Table(ground)).make(part)

    column = isinstance(ground.rule, Column)
    parts = (part for run in runs(ground.model, sources) for part in run.parts(_step(run, way.segment_bytes, column)))
    left = sum(tensor.nbytes for tensor in ground.model.tensors)
    whole = max(left, 1)
    with closing(way.each(make, parts)) as every:
        for made in every:
            yield made
            idle.append(made.table)
            left -= made.model.nbytes
            if way.progress is not None and left:
                way.progress(1 - left / whole)


def _remembered(rule: Rule, model: Layout, memories: Memories | None) -> Memory | None:
    if not isinstance(rule, Remembers):
        return None
    if memories is None:
        raise BadInput("this rule remembers, and was given no file for it")
    return memory_of(rule, model, memories.before)


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


def _step(run: Run, segment_bytes: int, column: bool) -> int:
    """Elements per block."""
    step = max(1, segment_bytes // item_size(run.dtype))
    if column and run.senders:
        step = min(step, max(_SHORTEST, _COLUMN // item_size(run.dtype) // len(run.senders)))
    return step
