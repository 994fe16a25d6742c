"""What a rule remembers of every element of the model, as a tensor file that is read and written like the model.

It has a tensor for every float tensor of the model, in the model's order: for each element, one behind the other,
the numbers that the rule remembers of it (shape: elements x numbers). So a stretch of the model is a stretch of the
memory, too. Dtype: F64 where the model's is, else F32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rondo.aggregate._blocks import Blocks
from rondo.aggregate._plan import Run
from rondo.aggregate.seam import Remembers
from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Array, Block, Kind, from_float64, item_size, kind_of, to_float64
from rondo.tensors.files import read_into
from rondo.tensors.finite import first_nonfinite
from rondo.tensors.layout import Layout, Spec, read_layout


@dataclass(frozen=True)
class Memory:
    """What ``rule`` remembered before the round: in ``path``, or its initial numbers where there is none yet."""

    rule: Remembers
    model: Layout
    path: Path | None
    layout: Layout

    @property
    def schema(self) -> tuple[Spec, ...]:
        """The tensors of its file, in their order."""
        return _schema(self.model, len(self.rule.initial))

    def step(self, part: Run, change: Block, blocks: Blocks) -> Array:
        """Let the rule turn ``change`` into its step; returns what it remembers then, as the file holds it."""
        rows = self._unpack(part, blocks)
        self.rule.step(change, rows)
        return self._pack(part, rows, blocks)

    def unchanged(self, part: Run, blocks: Blocks) -> Array:
        """What it remembers, as the file holds it."""
        return self._pack(part, self._unpack(part, blocks), blocks)

    def first_bad(self, part: Run, flat: Array) -> int | None:
        """The first element of the model of which a number in ``flat`` is not finite."""
        bad = first_nonfinite(flat, _dtype(part.dtype))
        return None if bad is None else bad // len(self.rule.initial)

    def _unpack(self, part: Run, blocks: Blocks) -> list[Block]:
        numbers, dtype = len(self.rule.initial), _dtype(part.dtype)
        rows = [blocks.block(f"memory{place}", part.count) for place in range(numbers)]
        if self.path is None:
            for row, value in zip(rows, self.rule.initial, strict=True):
                row.fill(value)
            return rows
        flat = blocks.array("memory", part.count * numbers, dtype)
        tensor, index = part.place(self.model, 0)
        read_into(self.path, self.layout.by_name[tensor].start + index * numbers * item_size(dtype), flat)
        for place, row in enumerate(rows):
            to_float64(flat[place::numbers], dtype, row)
        return rows

    def _pack(self, part: Run, rows: list[Block], blocks: Blocks) -> Array:
        numbers, dtype = len(self.rule.initial), _dtype(part.dtype)
        flat = blocks.array("memory", part.count * numbers, dtype)
        for place, row in enumerate(rows):
            from_float64(row, dtype, flat[place::numbers])
        return flat


def memory_of(rule: Remembers, model: Layout, path: Path | None) -> Memory:
    """The memory in ``path``. Raises ``BadInput`` where it cannot be read, or is of another model or rule."""
    memory = Memory(rule, model, path, read_layout(path) if path else model)
    if path and memory.layout.specs() != memory.schema:
        raise BadInput("is not what this rule remembers of this model", where=str(path))
    return memory


def _dtype(dtype: str) -> str:
    """Of what is remembered of a float ``dtype``."""
    return "F64" if dtype == "F64" else "F32"


def _schema(model: Layout, numbers: int) -> tuple[Spec, ...]:
    floats = (tensor for tensor in model.tensors if kind_of(tensor.dtype) is Kind.FLOAT)
    return tuple((tensor.name, _dtype(tensor.dtype), (tensor.count, numbers)) for tensor in floats)
