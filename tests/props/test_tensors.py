"""Tensor files: what is written is read, by us and by the reference library; what is broken is refused, never fatal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import safetensors
import safetensors.numpy
from hypothesis import assume, given
from hypothesis import strategies as st

from rondo.base.errors import BadInput
from rondo.tensors.check import StreamCheck
from rondo.tensors.digest import file_digest
from rondo.tensors.dtypes import Array, from_float64, numpy_dtype, to_float64
from rondo.tensors.files import TensorFile, TensorWriter
from rondo.tensors.layout import Layout, Spec, header_of, parse_header, read_layout, require_same
from tests.tensors.models import FLOATS, float_schemas, model, save, schemas

seeds = st.integers(0, 2**32)
finite = st.floats(allow_nan=False, allow_infinity=False)


def same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(schemas, seeds)
def test_a_file_of_ours_is_read_by_us_and_by_the_reference(schema: list[Spec], seed: int) -> None:
    arrays = model(schema, seed)
    with TemporaryDirectory() as folder:
        info = save(Path(folder, "m"), schema, arrays)
        assert info == file_digest(info.path)
        theirs = dict(safetensors.deserialize(info.path.read_bytes()))
        with TensorFile(info.path) as file:
            assert list(file) == sorted(arrays)
            assert file.layout.schema() == tuple(sorted(schema))
            for name, dtype, shape in schema:
                assert same(file[name], arrays[name])
                assert theirs[name]["dtype"] == dtype and tuple(theirs[name]["shape"]) == shape
                assert bytes(theirs[name]["data"]) == arrays[name].tobytes()
        assert len(theirs) == len(schema)


@given(schemas, seeds, st.dictionaries(st.text("ab"), st.text("cd"), max_size=2))
def test_a_file_of_the_reference_is_read_by_us(schema: list[Spec], seed: int, metadata: dict[str, str]) -> None:
    schema = [(name, "F32" if dtype == "BF16" else dtype, shape) for name, dtype, shape in schema]
    arrays = model(schema, seed)
    # Empty metadata in a file without tensors makes the reference write broken JSON.
    content = safetensors.numpy.save(arrays, metadata or None)
    with TemporaryDirectory() as folder:
        path = Path(folder, "m")
        path.write_bytes(content)
        with TensorFile(path) as file:
            assert file.layout.schema() == tuple(sorted(schema))
            assert all(same(file[name], array) for name, array in arrays.items())
            assert all(file[name].flags.aligned for name in file)


@given(schemas)
def test_a_header_says_what_it_was_made_from(schema: list[Spec]) -> None:
    header = header_of(schema)
    assert parse_header(header[8:], "test").specs() == tuple(schema)
    assert len(header) % 8 == 0


@given(schemas, seeds, st.data())
def test_blocks_of_any_length_make_the_same_file(schema: list[Spec], seed: int, data: st.DataObject) -> None:
    arrays = model(schema, seed)
    with TemporaryDirectory() as folder:
        whole = save(Path(folder, "whole"), schema, arrays)
        with TensorWriter(Path(folder, "parts"), sorted(schema)) as writer:
            for name, _, _ in sorted(schema):
                flat = arrays[name].reshape(-1)
                while len(flat):
                    size = data.draw(st.integers(1, len(flat)))
                    writer.write(flat[:size])
                    flat = flat[size:]
            assert writer.close().digest == whole.digest


@given(schemas, seeds, st.data())
def test_a_corrupt_header_is_refused_or_means_something(schema: list[Spec], seed: int, data: st.DataObject) -> None:
    assume(schema)
    with TemporaryDirectory() as folder:
        path = save(Path(folder, "m"), schema, model(schema, seed)).path
        content = bytearray(path.read_bytes())
        length = len(header_of(schema))
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        found = layout_or_none(path)
        if found is not None:
            with TensorFile(path) as file:
                assert sum(file[name].nbytes for name in file) + length == len(content)
        assert (verdict(content, [len(content)]) is None) == (found is None) or holds_nonfinite(path)


def layout_or_none(path: Path) -> Layout | None:
    try:
        return read_layout(path)
    except BadInput:
        return None


def holds_nonfinite(path: Path) -> bool:
    with TensorFile(path) as file:
        floats = [t for t in file.layout.tensors if t.dtype in FLOATS]
        return not all(np.isfinite(to_float64(file[t.name], t.dtype)).all() for t in floats)


@given(st.binary(max_size=200))
def test_garbage_is_refused_the_same_way_everywhere(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "m")
        path.write_bytes(content)
        assert layout_or_none(path) == verdict(content, [1] * len(content))


def verdict(content: bytes, sizes: Iterable[int], expected: Layout | None = None) -> Layout | None:
    """What the check of a stream says that comes in chunks of these sizes; None where it refuses."""
    check, at = StreamCheck(expected), 0
    try:
        for size in sizes:
            check.feed(content[at : at + size])
            at += size
        return check.finish()
    except BadInput:
        return None


@st.composite
def chunkings(draw: st.DrawFn, length: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=12)))
    return [stop - start for start, stop in zip([0, *cuts], [*cuts, length], strict=True)]


@given(schemas, seeds, st.data())
def test_chunks_do_not_change_the_verdict(schema: list[Spec], seed: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = save(Path(folder, "m"), schema, model(schema, seed)).path
        content = bytearray(path.read_bytes())
        layout = read_layout(path)
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from([0, 0x7F, 0x80, 0xFF]))
    cut = bytes(content[: data.draw(st.sampled_from([len(content), len(content) - 1]))])
    chunks = data.draw(chunkings(len(cut)))
    assert verdict(cut, chunks, layout) == verdict(cut, [len(cut)], layout)


@given(float_schemas, seeds, st.sampled_from([math.nan, math.inf, -math.inf]), st.data())
def test_a_planted_number_is_found_and_named(schema: list[Spec], seed: int, bad: float, data: st.DataObject) -> None:
    full = [spec for spec in schema if math.prod(spec[2])]
    assume(full)
    name, dtype, shape = data.draw(st.sampled_from(full))
    index = data.draw(st.integers(0, math.prod(shape) - 1))
    arrays = model(schema, seed)
    flat = arrays[name].reshape(-1).copy()
    flat[index] = from_float64(np.array([bad]), dtype)[0]
    arrays[name] = flat.reshape(shape)
    with TemporaryDirectory() as folder:
        content = save(Path(folder, "m"), schema, arrays).path.read_bytes()
    check, at = StreamCheck(where="update of ward"), 0
    try:
        for size in data.draw(chunkings(len(content))):
            check.feed(content[at : at + size])
            at += size
    except BadInput as error:
        assert error.where == "update of ward"
        assert error.what.startswith(f"tensor {name!r} holds NaN or infinity (first at flat index {index})")
    else:
        raise AssertionError("was not found")


@given(schemas, schemas, st.sets(st.integers(0, 5)))
def test_only_equal_schemas_are_the_same(one: list[Spec], other: list[Spec], keep: set[int]) -> None:
    expected = parse_header(header_of(one)[8:], "")
    omitted = frozenset(name for number, (name, _, _) in enumerate(one) if number not in keep)
    part = [spec for spec in reversed(one) if spec[0] not in omitted]
    require_same(expected, parse_header(header_of(part)[8:], ""), omitted)
    if sorted(other) != sorted(part):
        try:
            require_same(expected, parse_header(header_of(other)[8:], ""), omitted)
        except BadInput as error:
            changed = {name for name, _, _ in set(other) ^ set(part)}
            assert len(changed) > 8 or all(ascii(name) in error.what for name in changed)
        else:
            raise AssertionError("the difference was not seen")


@given(st.lists(finite, max_size=20), st.sampled_from(FLOATS))
def test_rounding_is_to_nearest_even_and_exact_both_ways(values: list[float], dtype: str) -> None:
    stored = from_float64(np.array(values, np.float64), dtype)
    back = to_float64(stored, dtype)
    assert same(from_float64(back, dtype), stored)
    if dtype in ("F32", "F64"):
        with np.errstate(over="ignore"):
            assert same(stored, np.array(values, np.float64).astype(numpy_dtype(dtype)))


@given(st.integers(0, 0x7F7E), st.integers(1, 2**45 - 1), st.booleans())
def test_bfloat16_takes_the_nearer_neighbour(bits: int, part: int, negative: bool) -> None:
    below, above = to_float64(np.array([bits, bits + 1], np.uint16), "BF16")
    value = below + (above - below) * (part / 2**45)
    nearest = bits if value - below < above - value else bits + 1
    if value - below == above - value:
        nearest = bits + bits % 2
    sign = 0x8000 if negative else 0
    assert from_float64(np.array([-value if negative else value]), "BF16").tolist() == [nearest | sign]
