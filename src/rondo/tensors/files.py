"""Reading and writing tensor files: mapped, by the segment, or one tensor after the other; never all at once."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput, Conflict
from rondo.base.spare import open_anew
from rondo.tensors.digest import FileInfo, Hasher
from rondo.tensors.dtypes import Array, dtype_of, numpy_dtype
from rondo.tensors.header import PREFIX, shown
from rondo.tensors.layout import Spec, Tensor, header_of, layout_in, parse_header


class TensorFile(Mapping[str, Array]):
    """The tensors of a file as read-only arrays, mapped from the disk; a page is read when it is touched.

    BF16 comes as its bits in ``uint16``. An array whose place in the file is not aligned to its dtype (some
    writers do that) comes as a copy. Arrays outlive the file; asking a closed file for one raises ``Conflict``.
    ``private``: arrays may be written to; what is changed is a copy, of those pages alone, that nobody else sees.
    Raises ``BadInput`` when made, for a file that cannot be read or whose header lies.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self.path = path
        self._private = private
        try:
            with path.open("rb") as file:
                self.layout = layout_in(file, str(path))
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY if private else mmap.ACCESS_READ)
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
        self._bytes: NDArray[np.uint8] | None = np.frombuffer(mapped, np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. The system unmaps it when the last array of it is gone."""
        self._bytes = None

    def __getitem__(self, name: str) -> Array:
        tensor = self.layout.by_name[name]
        return self._flat(tensor).reshape(tensor.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.names())

    def __len__(self) -> int:
        return len(self.layout.tensors)

    def segment(self, name: str, start: int, stop: int) -> Array:
        """Elements ``start`` to ``stop`` (excluded) of a tensor in C order, 1-d. Raises ``KeyError``."""
        return self._flat(self.layout.by_name[name])[start:stop]

    def _flat(self, tensor: Tensor) -> Array:
        if self._bytes is None:
            raise Conflict("the file is closed", where=str(self.path))
        flat = self._bytes[tensor.start : tensor.stop].view(numpy_dtype(tensor.dtype))
        if not flat.flags.aligned:
            flat = flat.copy()
            flat.flags.writeable = self._private
        return flat


def read_into(path: Path, offset: int, block: Array) -> None:
    """Fill the contiguous 1-d ``block`` with the bytes of a file from ``offset`` on.

    Reading into the same block again and again costs no memory, where mapped pages would count as the reader's.
    Raises ``BadInput`` where the file cannot be read or ends too early.
    """
    space = block.view(np.uint8).data
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while space:
                got = os.preadv(file, [space], offset)
                if not got:
                    raise BadInput(f"ends {len(space)} bytes too early", where=str(path))
                space, offset = space[got:], offset + got
        finally:
            os.close(file)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error


class TensorWriter:
    """Write a tensor file block by block, in the order of ``schema``, and digest it on the way.

    Use it as a context manager and end with ``close``: only then does the file appear under ``path``, whole, in
    one step. Leaving without it, as an error does, leaves nothing behind. Missing folders are made; the folder's spare
    (``rondo.base.spare``) is used where there is one. Raises
    ``NoSpace`` where the disk is full or not writable, ``BadInput`` for a schema that no file can hold.
    """

    def __init__(self, path: Path, schema: Sequence[Spec]) -> None:
        header = header_of(schema)
        layout = parse_header(header[PREFIX:], str(path))
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._due = [tensor for tensor in reversed(layout.tensors) if tensor.nbytes]
        self._at = len(header)
        self._size = layout.size
        self._hasher = Hasher()
        with disk_errors(path, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(open_anew(self._part), "wb")
        try:
            self._put(header)
        except BaseException:
            self._discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self._discard()

    def write(self, block: Array) -> None:
        """Append a contiguous 1-d block of any length. It may reach over several tensors of its dtype.

        Raises ``BadInput`` for a block whose dtype is not the one due here, or that reaches beyond the end.
        """
        left = block.nbytes
        while left:
            if not self._due or block.dtype != numpy_dtype(self._due[-1].dtype):
                due = f"{self._due[-1].dtype} of {shown(self._due[-1].name)}" if self._due else "the end"
                raise BadInput(f"a block of {block.dtype} came where {due} is due", where=str(self._path))
            taken = min(left, self._due[-1].stop - self._at)
            left -= taken
            self._at += taken
            if self._at == self._due[-1].stop:
                self._due.pop()
        self._put(block.view(np.uint8).data)

    def close(self) -> FileInfo:
        """Put the file in its place. Raises ``BadInput`` where tensors are still to be written."""
        if self._due:
            raise BadInput(f"tensor {shown(self._due[-1].name)} was not written to its end", where=str(self._path))
        with disk_errors(self._path, "write"):
            self._file.truncate()  # it may be made of a longer one
            os.replace(self._part, self._path)
            self._file.close()
        return FileInfo(self._path, self._hasher.digest(), self._size)

    def _put(self, data: bytes | memoryview) -> None:
        with disk_errors(self._path, "write"):
            self._file.write(data)
        self._hasher.update(data)

    def _discard(self) -> None:
        # Closing writes what is left in the buffer; on a full disk that fails again and no longer matters.
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def write_tensors(path: Path, arrays: Mapping[str, Array], dtypes: Mapping[str, str] | None = None) -> FileInfo:
    """Write ``arrays`` sorted by name; the file appears whole, in one step.

    ``dtypes`` gives the safetensors dtype where the array's own type does not say it (BF16, carried in
    ``uint16``). Arrays may be strided, of any byte order, mapped, or made when asked for: each is asked for
    twice, and at most one is copied at a time. Raises ``BadInput`` for a type that cannot be stored or is not the
    one in ``dtypes``, ``NoSpace`` where the disk is full or not writable.
    """
    schema = [(name, _declared(name, arrays[name], dtypes or {}), arrays[name].shape) for name in sorted(arrays)]
    with TensorWriter(path, schema) as writer:
        for name, dtype, _ in schema:
            writer.write(np.ascontiguousarray(arrays[name], numpy_dtype(dtype)).reshape(-1))
        return writer.close()


def _declared(name: str, array: Array, dtypes: Mapping[str, str]) -> str:
    own = dtype_of(array.dtype)
    dtype = dtypes.get(name, own)
    if numpy_dtype(dtype) != numpy_dtype(own):
        raise BadInput(f"tensor {shown(name)} is declared {dtype} but its array is {array.dtype}")
    return dtype
