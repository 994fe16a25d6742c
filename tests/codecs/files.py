"""Coded files for tests: made from small models, and taken apart again so that each part can be made to lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rondo.codecs.coding import CodedCheck
from rondo.codecs.seam import Codec
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import TensorFile, write_tensors
from rondo.tensors.header import PREFIX
from rondo.tensors.layout import Layout, Spec, header_of


def coded_file(path: Path, schema: Sequence[Spec], segments: Sequence[bytes]) -> FileInfo:
    """What a liar sends: any layout, any bytes as its segments, each with its length before it."""
    data = b"".join(len(one).to_bytes(4, "little") + one for one in segments)
    return raw_file(path, header_of(schema)[PREFIX:], data)


def raw_file(path: Path, layout: bytes, data: bytes) -> FileInfo:
    parts = {"layout": layout, "data": data}
    header = header_of([(name, "U8", (len(part),)) for name, part in parts.items()])
    path.write_bytes(header + layout + data)
    return FileInfo(path, "", path.stat().st_size)


def parts(path: Path) -> tuple[bytes, bytes]:
    """Layout and data of a coded file."""
    with TensorFile(path) as file:
        return file["layout"].tobytes(), file["data"].tobytes()


def checked(
    codec: Codec, content: bytes, model: Layout, omitted: frozenset[str] = frozenset(), step: int = 1000
) -> None:
    """Let ``content`` pass the check, ``step`` bytes at a time."""
    check = CodedCheck(codec, model, omitted, "update of ward")
    for start in range(0, len(content), step):
        check.feed(content[start : start + step])
    check.finish()


def one_tensor(path: Path, values: np.ndarray, name: str = "w") -> FileInfo:
    return write_tensors(path, {name: values})
