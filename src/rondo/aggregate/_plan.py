"""Which bytes of which files belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rondo.aggregate.seam import Contribution
from rondo.tensors.dtypes import item_size
from rondo.tensors.layout import Layout


@dataclass(frozen=True)
class Source:
    """A contribution whose file has been found to fit the model."""

    sent: Contribution
    layout: Layout


@dataclass(frozen=True)
class Run:
    """``count`` elements of one dtype that lie together in the model's file and in the file of every sender.

    ``start`` is their byte offset in the model's file; each sender comes with the offset in its own. A run may
    span many tensors, so that thousands of small ones cost no more than a few large ones.
    """

    dtype: str
    count: int
    start: int
    senders: tuple[tuple[Contribution, int], ...]

    @property
    def nbytes(self) -> int:
        return self.count * item_size(self.dtype)

    def at(self, index: int) -> Run:
        """The run of one element, that at ``index``."""
        return self._cut(index, 1)

    def place(self, model: Layout, index: int) -> tuple[str, int]:
        """The tensor that holds element ``index``, and its flat index there."""
        size = item_size(self.dtype)
        at = self.start + index * size
        tensor = model.at(at)
        return tensor.name, (at - tensor.start) // size

    def parts(self, step: int) -> Iterator[Run]:
        """The run in pieces of at most ``step`` elements."""
        for first in range(0, self.count, step):
            yield self._cut(first, min(step, self.count - first))

    def _cut(self, first: int, count: int) -> Run:
        shift = first * item_size(self.dtype)
        senders = tuple((sent, offset + shift) for sent, offset in self.senders)
        return Run(self.dtype, count, self.start + shift, senders)


def runs(model: Layout, sources: Sequence[Source]) -> Iterator[Run]:
    """All of ``model``, in file order, in runs as long as they can be. Empty tensors are in none."""
    open_run: Run | None = None
    for tensor in model.tensors:
        if not tensor.count:
            continue
        counting = [source for source in sources if tensor.name not in source.sent.unused]
        found = ((source.sent, source.layout.get(tensor.name)) for source in counting)
        senders = tuple((sent, held.start) for sent, held in found if held is not None)
        run = Run(tensor.dtype, tensor.count, tensor.start, senders)
        if open_run is not None and _goes_on(open_run, run):
            open_run = replace(open_run, count=open_run.count + run.count)
            continue
        if open_run is not None:
            yield open_run
        open_run = run
    if open_run is not None:
        yield open_run


def _goes_on(run: Run, other: Run) -> bool:
    moved = tuple((sent, offset + run.nbytes) for sent, offset in run.senders)
    return run.dtype == other.dtype and moved == other.senders
