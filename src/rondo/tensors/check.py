"""The check of a tensor file while its bytes pass: nothing is stored, nothing is read twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Kind, item_size, kind_of, numpy_dtype
from rondo.tensors.finite import finite_or_raise
from rondo.tensors.header import MAX_HEADER, PREFIX, header_length
from rondo.tensors.layout import Layout, Tensor, parse_header, require_same

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SLACK = 1 << 20


class StreamCheck:
    """Feed it a file in chunks of any size; it raises ``BadInput`` at the first thing that is wrong.

    Theory of operation. First the header is collected, then it is checked: against itself, and against the
    ``expected`` layout less the ``omitted`` tensors, where one is given. From then on the place in the file says
    to which tensor the bytes belong; floats are looked at for NaN and infinity. What is held is the header and
    less than one element. Where ``expected`` is given, a header much longer than it needs is refused unread, so
    that a stranger cannot make the reader collect 64 MiB. ``where`` names the file in errors.
    """

    def __init__(
        self, expected: Layout | None = None, omitted: frozenset[str] = frozenset(), where: str = "update"
    ) -> None:
        self._expected = expected
        self._omitted = omitted
        self._where = where
        own = MAX_HEADER if expected is None else 4 * expected.header_size + _SLACK
        self._limit = min(MAX_HEADER, own)
        self._head = bytearray()
        self._length: int | None = None
        self._layout: Layout | None = None
        self._due: list[Tensor] = []
        self._at = 0
        self._split = bytearray()

    def feed(self, chunk: ReadableBuffer) -> None:
        """Look at the next bytes of the file. The chunk is not kept."""
        view = memoryview(chunk).cast("B")
        if self._layout is None:
            view = self._header(view)
        while view and self._due:
            tensor = self._due[-1]
            part = view[: tensor.stop - self._at]
            if kind_of(tensor.dtype) is Kind.FLOAT:
                self._floats(tensor, part)
            self._at += len(part)
            view = view[len(part) :]
            if self._at == tensor.stop:
                self._due.pop()
        if view:
            raise BadInput("goes on after its last tensor", where=self._where)

    def finish(self) -> Layout:
        """The layout of the file that has passed. Raises ``BadInput`` where it is not complete."""
        if self._layout is None:
            raise BadInput(f"ends within its header, after {len(self._head)} bytes", where=self._where)
        if self._due:
            missing = self._layout.size - self._at
            raise BadInput(f"ends {missing} bytes too early, in tensor {self._due[-1].name!r}", where=self._where)
        return self._layout

    def _header(self, view: memoryview) -> memoryview:
        """Take of ``view`` what belongs to the header; return the rest."""
        if self._length is None:
            view = self._collect(view, PREFIX)
            if len(self._head) < PREFIX:
                return view
            self._length = header_length(bytes(self._head), self._where, self._limit)
        view = self._collect(view, PREFIX + self._length)
        if len(self._head) == PREFIX + self._length:
            layout = parse_header(bytes(self._head[PREFIX:]), self._where)
            if self._expected is not None:
                require_same(self._expected, layout, self._omitted, self._where)
            self._layout = layout
            self._due = [tensor for tensor in reversed(layout.tensors) if tensor.nbytes]
            self._at = len(self._head)
        return view

    def _collect(self, view: memoryview, size: int) -> memoryview:
        taken = size - len(self._head)
        self._head += view[:taken]
        return view[taken:]

    def _floats(self, tensor: Tensor, part: memoryview) -> None:
        """Look at bytes of a float tensor; an element that is cut by the chunk's end waits for its other half."""
        size = item_size(tensor.dtype)
        start = self._at - tensor.start - len(self._split)
        if self._split:
            missing = size - len(self._split)
            self._split += part[:missing]
            part = part[missing:]
            if len(self._split) < size:
                return
            self._finite(tensor, self._split, start)
            start += size
            self._split = bytearray()
        whole = len(part) // size * size
        self._finite(tensor, part[:whole], start)
        self._split += part[whole:]

    def _finite(self, tensor: Tensor, data: memoryview | bytearray, start: int) -> None:
        flat = np.frombuffer(data, numpy_dtype(tensor.dtype))
        finite_or_raise(flat, tensor.dtype, tensor.name, self._where, start // item_size(tensor.dtype))
