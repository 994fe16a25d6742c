"""A look at the whole of every update, before it is said whose count."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rondo.aggregate._blocks import Blocks, demand_finite
from rondo.aggregate._plan import Run, Source, runs
from rondo.aggregate.seam import Survey
from rondo.tensors.dtypes import Block, Kind, kind_of
from rondo.tensors.layout import Layout

_ROWS = 4 << 20
"""Bytes of float64 that the rows may take together."""
_LONGEST, _SHORTEST = 32_768, 2048
"""Elements of a block. Where blocks end depends on files and sites alone: it decides the last bit of a sum."""

Each = Callable[[Callable[[Run], Any], Iterable[Run]], Generator[Any, None, None]]


def survey(rule: Survey, base: Path, model: Layout, sources: Sequence[Source], each: Each) -> list[Source]:
    """The sources that count, with equal weights. Raises ``BadInput`` for an update that is not finite."""
    step = max(_SHORTEST, min(_LONGEST, _ROWS // 8 // len(sources)))
    sites = {source.sent.site: place for place, source in enumerate(sources)}
    idle: list[Blocks] = []

    def look(part: Run) -> Block:
        blocks = idle.pop() if idle else Blocks()
        rows = blocks.rows(part, len(sources))
        before = blocks.base(base, part)
        for row in rows:
            row.fill(0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            for sent, offset in part.senders:
                row = rows[sites[sent.site]]
                blocks.values(part, sent, offset, row)
                demand_finite(model, part, row, f"update of {sent.site}")
                if sent.kind == "weights":
                    np.subtract(row, before, out=row)
            found = rule.look(rows)
        idle.append(blocks)
        return found

    parts = (
        part
        for run in runs(model, sources)
        if run.senders and kind_of(run.dtype) is Kind.FLOAT
        for part in run.parts(step)
    )
    seen = None
    with closing(each(look, parts)) as every:
        for found in every:
            seen = found if seen is None else seen + found
    if seen is None:
        seen = rule.look([np.zeros(0) for _ in sources])
    return [replace(sources[place], sent=replace(sources[place].sent, weight=1.0)) for place in rule.choose(seen)]
