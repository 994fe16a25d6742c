"""Tensor files through a codec and back, segment by segment; and the check of a coded file as it arrives.

A coded file is a tensor file of two U8 tensors. ``layout`` is the header of the file that was coded, as JSON.
``data`` is that file's tensors in its order, each cut into segments of ``Codec.segment`` elements (the last one
shorter): four bytes of little-endian length, then what the codec made of the segment. Tensors that the codec does
not take are cut the same way and stand there as they were.

One reader takes such a file apart, for the check and for decoding: what was accepted can be decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput
from rondo.codecs.seam import Codec
from rondo.tensors.digest import FileInfo
from rondo.tensors.dtypes import Array, Block, item_size, numpy_dtype, to_float64
from rondo.tensors.files import TensorWriter, read_into
from rondo.tensors.finite import finite_or_raise
from rondo.tensors.header import MAX_HEADER, PREFIX, header_length
from rondo.tensors.layout import Layout, Spec, Tensor, header_of, parse_header, read_layout, require_same

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LENGTH = 4
_OUTER = 4096
"""Bytes that a coded file's own header may take: it describes two tensors."""
_SLACK = 1 << 20
_COPY = 1 << 20
_HINT = "is it of this codec, with these options?"


# ---- there ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feedback:
    """What earlier updates of this site lost: ``before`` is added (None: nothing), ``after`` is written anew.

    Both are tensor files: of the update's coded tensors, in float64 where those are, else in float32.
    """

    before: Path | None
    after: Path


def encode(codec: Codec, source: Path, out: Path, feedback: Feedback | None = None) -> FileInfo:
    """Code the tensor file ``source`` (finite numbers) into ``out``; ``feedback`` where the codec is of that kind.

    Raises ``BadInput`` that names the tensor: numbers the codec cannot carry, a ``before`` of another model;
    ``NoSpace``. ``out`` then does not exist.
    """
    layout, body = read_layout(source), out.with_name(f".{out.name}.{os.getpid()}.body")
    header = header_of(layout.specs())[PREFIX:]
    with ExitStack() as stack:
        losses = stack.enter_context(_Losses(codec, layout, feedback)) if feedback else None
        stack.callback(body.unlink, missing_ok=True)
        with disk_errors(body, "write"):
            body.parent.mkdir(parents=True, exist_ok=True)
            with body.open("wb") as file:
                for tensor, first, count in _segments(codec, layout):
                    data = _coded(codec, _read(source, tensor, first, count), tensor, first, losses)
                    file.write(len(data).to_bytes(_LENGTH, "little"))
                    file.write(data)
        specs: list[Spec] = [("layout", "U8", (len(header),)), ("data", "U8", (body.stat().st_size,))]
        with TensorWriter(out, specs) as writer, body.open("rb") as file:
            writer.write(np.frombuffer(header, np.uint8))
            while chunk := file.read(_COPY):
                writer.write(np.frombuffer(chunk, np.uint8))
            if losses is not None:
                losses.close()
            return writer.close()


def _coded(codec: Codec, flat: Array, tensor: Tensor, first: int, losses: _Losses | None) -> bytes:
    """One segment, which begins at flat index ``first`` of ``tensor``."""
    if not codec.takes(tensor.dtype):
        return flat.tobytes()
    try:
        if losses is None:
            return codec.encode(flat, tensor.dtype)
        wanted = losses.added(tensor, first, to_float64(flat, tensor.dtype))
        data = codec.encode(wanted, tensor.dtype)
        sent = codec.decode(data, tensor.dtype, len(flat))
    except BadInput as error:
        raise BadInput(f"tensor {tensor.name!r} {error.what}", where="update", hint=error.hint) from None
    finite_or_raise(sent, tensor.dtype, tensor.name, "update, once it is coded", first)
    losses.note(tensor, np.subtract(wanted, to_float64(sent, tensor.dtype), out=wanted))
    return data


class _Losses:
    """What is lost, segment by segment in the order of the file; a context, ended by ``close``."""

    def __init__(self, codec: Codec, layout: Layout, feedback: Feedback) -> None:
        specs = [(t.name, _kept_in(t.dtype), t.shape) for t in layout.tensors if codec.takes(t.dtype)]
        self._before = feedback.before
        self._layout = read_layout(feedback.before) if feedback.before else Layout((), 0)
        for spec in specs:
            found = self._layout.get(spec[0])
            if found is not None and found.spec != spec:
                raise BadInput(f"tensor {spec[0]!r} is not that of the model", where=str(feedback.before))
        self._writer = TensorWriter(feedback.after, specs)
        self.close = self._writer.close

    def __enter__(self) -> _Losses:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.__exit__()

    def added(self, tensor: Tensor, first: int, values: Block) -> Block:
        """``values`` and what was lost there before, in place."""
        found = self._layout.get(tensor.name)
        if found is not None and self._before is not None:
            np.add(values, _read(self._before, found, first, len(values)), out=values)
        return values

    def note(self, tensor: Tensor, lost: Block) -> None:
        """The segment after the one before: this much of it is lost."""
        self._writer.write(lost.astype(numpy_dtype(_kept_in(tensor.dtype))))


def _kept_in(dtype: str) -> str:
    return "F64" if dtype == "F64" else "F32"


def _segments(codec: Codec, layout: Layout) -> Iterator[tuple[Tensor, int, int]]:
    """Tensor, first element and number of elements of every segment, in file order."""
    for tensor in layout.tensors:
        for first in range(0, tensor.count, codec.segment):
            yield tensor, first, min(codec.segment, tensor.count - first)


def _read(path: Path, tensor: Tensor, first: int, count: int) -> Array:
    block = np.empty(count, numpy_dtype(tensor.dtype))
    read_into(path, tensor.start + first * item_size(tensor.dtype), block)
    return block


# ---- and back -------------------------------------------------------------------------------------------------------


def decode(codec: Codec, coded: Path, out: Path) -> FileInfo:
    """Write to ``out`` the tensor file that ``coded`` stands for. Equal input gives equal bytes.

    Raises ``BadInput`` for a file that this codec, with these options, did not make; ``NoSpace``. ``out`` then does
    not exist.
    """
    with ExitStack() as stack:
        writers: list[TensorWriter] = []

        def begin(layout: Layout) -> None:
            writers.append(stack.enter_context(TensorWriter(out, layout.specs())))

        def put(flat: Array) -> None:
            writers[0].write(flat)

        try:
            file = stack.enter_context(coded.open("rb"))
            _drive(_Reader(codec, None, frozenset(), str(coded)).read(begin, put), file)
            if file.read(1):
                raise BadInput("goes on after its last tensor", where=str(coded))
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", where=str(coded)) from error
        return writers[0].close()


def _drive(reader: Generator[int, bytes, None], file: BinaryIO) -> None:
    wanted = next(reader)
    while True:
        try:
            wanted = reader.send(file.read(wanted))
        except StopIteration:
            return


class CodedCheck:
    """``rondo.tensors.check.StreamCheck`` for a coded file: every segment is decoded, looked at, and let go.

    The file must hold the tensors of ``expected`` less those ``omitted``. What is held is the layout and one segment.
    """

    def __init__(self, codec: Codec, expected: Layout, omitted: frozenset[str], where: str) -> None:
        self._where = where
        self._reader = _Reader(codec, expected, omitted, where).read(lambda _: None, lambda _: None)
        self._wanted = next(self._reader)
        self._held = bytearray()
        self._over = False

    def feed(self, chunk: ReadableBuffer) -> None:
        """Look at the next bytes of the file. The chunk is not kept. Raises ``BadInput`` at the first fault."""
        view = memoryview(chunk).cast("B")
        while view:
            if self._over:
                raise BadInput("goes on after its last tensor", where=self._where)
            missing = self._wanted - len(self._held)
            self._held += view[:missing]
            view = view[missing:]
            if len(self._held) == self._wanted:
                self._next()

    def finish(self) -> None:
        """Raises ``BadInput`` where the file that has passed is not complete."""
        if not self._over:
            raise BadInput("ends too early", where=self._where)

    def _next(self) -> None:
        whole, self._held = bytes(self._held), bytearray()
        try:
            self._wanted = self._reader.send(whole)
        except StopIteration:
            self._over = True


class _Reader:
    """Takes a coded file apart, from its bytes alone."""

    def __init__(self, codec: Codec, expected: Layout | None, omitted: frozenset[str], where: str) -> None:
        self._codec = codec
        self._expected = expected
        self._omitted = omitted
        self._where = where

    def read(self, begin: Callable[[Layout], object], put: Callable[[Array], object]) -> Generator[int, bytes, None]:
        """Yields how many bytes it wants, and is sent that many; fewer mean that the file has ended.

        ``begin`` gets the layout, then ``put`` every segment. Raises ``BadInput`` for a file that lies.
        """
        limit = MAX_HEADER if self._expected is None else _longest(self._expected)
        prefix = self._whole((yield PREFIX), PREFIX)
        length = header_length(prefix, self._where, _OUTER)
        outer = parse_header(self._whole((yield length), length), self._where)
        if [(tensor.name, tensor.dtype, len(tensor.shape)) for tensor in outer.tensors] != [
            ("layout", "U8", 1),
            ("data", "U8", 1),
        ]:
            raise BadInput("is not coded", where=self._where, hint=_HINT)
        head, data = outer.tensors
        if head.nbytes > limit:
            raise BadInput(f"a layout of {head.nbytes} bytes where {limit} are possible", where=self._where)
        layout = parse_header(self._whole((yield head.nbytes), head.nbytes), self._where)
        if self._expected is not None:
            require_same(self._expected, layout, self._omitted, self._where)
        begin(layout)
        left = data.nbytes
        for tensor, first, count in _segments(self._codec, layout):
            left -= _LENGTH
            size = int.from_bytes(self._whole((yield _LENGTH), _LENGTH), "little")
            if size > min(left, _most(self._codec, tensor.dtype, count)) or not size:
                raise self._fault(tensor, f"has {size} bytes for {count} elements")
            left -= size
            put(self._segment(self._whole((yield size), size), tensor, first, count))
        if left:
            raise BadInput(f"{left} bytes are left after the last tensor", where=self._where)

    def _segment(self, data: bytes, tensor: Tensor, first: int, count: int) -> Array:
        try:
            flat = _decoded(self._codec, data, tensor.dtype, count)
        except BadInput as error:
            raise self._fault(tensor, f"at element {first}: {error.what}") from None
        finite_or_raise(flat, tensor.dtype, tensor.name, self._where, first)
        return flat

    def _whole(self, data: bytes, size: int) -> bytes:
        if len(data) < size:
            raise BadInput("ends too early", where=self._where)
        return data

    def _fault(self, tensor: Tensor, what: str) -> BadInput:
        return BadInput(f"coded tensor {tensor.name!r} {what}", where=self._where, hint=_HINT)


def _decoded(codec: Codec, data: bytes, dtype: str, count: int) -> Array:
    if codec.takes(dtype):
        return codec.decode(data, dtype, count)
    if len(data) != count * item_size(dtype):
        raise BadInput(f"{len(data)} bytes for {count} elements of {dtype}")
    return np.frombuffer(data, numpy_dtype(dtype))


def _most(codec: Codec, dtype: str, count: int) -> int:
    return codec.most(dtype, count) if codec.takes(dtype) else count * item_size(dtype)


def _longest(model: Layout) -> int:
    """Bytes that the layout within a coded file may take: other writers' headers are longer than ours."""
    return min(MAX_HEADER, 4 * model.header_size + _SLACK)
