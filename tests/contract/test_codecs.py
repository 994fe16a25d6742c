"""What every codec of ``rondo.codecs`` keeps to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.base.rooms import listed, names, pick
from rondo.codecs.coding import CodedCheck, Feedback, decode, encode
from rondo.codecs.seam import Codec, build_codec
from rondo.tensors.dtypes import Kind, kind_of, numpy_dtype, to_float64
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import Spec, read_layout
from tests.codecs.files import checked, coded_file, parts, raw_file
from tests.tensors.models import DTYPES, FLOATS, filled, model, save

CODECS = names("rondo.codecs")

# Options that a codec cannot do without.
REQUIRED: dict[str, Mapping[str, Any]] = {}

SCHEMA: list[Spec] = [
    ("w", "F32", (50, 30)), ("b", "F64", (7,)), ("h", "BF16", (4,)), ("f", "F16", (300,)), ("s", "F32", ()),
    ("n", "I64", ()), ("m", "BOOL", (5,)), ("e", "F32", (0,)),
]  # fmt: skip
SCHEMAS = [SCHEMA, [], SCHEMA[5:6], SCHEMA[7:]]

CodecName = pytest.mark.parametrize("name", CODECS)


def built(name: str) -> Codec:
    return build_codec(name, REQUIRED.get(name, {}))


def feedback(codec: Codec, after: Path, before: Path | None = None) -> Feedback | None:
    return Feedback(before, after) if codec.feedback else None


def test_the_room_is_listed() -> None:
    assert {"bf16", "int8", "planes", "topk"} <= set(CODECS)
    assert listed("rondo.codecs") == CODECS, "a client says the same without loading them"


@CodecName
def test_options_are_strict_and_frozen(name: str) -> None:
    with pytest.raises(BadInput, match=f"codec {name}: unknown key 'surely_not'"):
        build_codec(name, {**REQUIRED.get(name, {}), "surely_not": 1})
    options = pick("rondo.codecs", name).Options()
    for field in msgspec.structs.fields(options):
        with pytest.raises(AttributeError):
            setattr(options, field.name, None)


@CodecName
def test_it_says_where_it_may_be_chosen_and_what_it_keeps(name: str) -> None:
    codec, ways = built(name), pick("rondo.codecs", name).WAYS
    assert ways in (("up",), ("up", "down"))
    assert not (codec.lossless and codec.feedback)
    assert not (codec.feedback and "down" in ways), "a model has no next one that could make up for what it lost"
    if not codec.lossless:
        assert not any(codec.takes(dtype) for dtype in DTYPES if kind_of(dtype) is not Kind.FLOAT)


@CodecName
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_segment_comes_back(name: str, dtype: str) -> None:
    codec = built(name)
    for count in (1, 2, 255, 256, 257, 1000) if codec.takes(dtype) else ():
        _comes_back(codec, dtype, count)


def _comes_back(codec: Codec, dtype: str, count: int) -> None:
    flat = filled(dtype, (count,), np.random.default_rng(count))
    given = to_float64(flat, dtype) if codec.feedback else flat
    kept = given.copy()
    data = codec.encode(given, dtype)
    assert np.array_equal(given, kept), "the input is left as it was"
    assert codec.encode(given, dtype) == data
    assert 0 < len(data) <= codec.most(dtype, count)
    back = codec.decode(data, dtype, count)
    assert back.dtype == numpy_dtype(dtype) and back.shape == (count,)
    if codec.lossless:
        assert back.tobytes() == flat.tobytes()


@CodecName
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_segment_that_is_not_whole_and_exact_is_refused(name: str, dtype: str) -> None:
    codec = built(name)
    if not codec.takes(dtype):
        return
    flat = filled(dtype, (500,), np.random.default_rng(1))
    data = codec.encode(to_float64(flat, dtype) if codec.feedback else flat, dtype)
    for lie in (b"", data[:-1], data[: len(data) // 2], data + b"\0"):
        with pytest.raises(BadInput):
            codec.decode(lie, dtype, 500)
    for count in (1, 100, 5000):
        with pytest.raises(BadInput):
            codec.decode(data, dtype, count)


@CodecName
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_file_comes_back(name: str, schema: list[Spec], tmp_path: Path) -> None:
    codec, source = built(name), save(tmp_path / "source", schema, model(schema, 1))
    coded = encode(codec, source.path, tmp_path / "coded", feedback(codec, tmp_path / "after"))
    again = encode(codec, source.path, tmp_path / "again", feedback(codec, tmp_path / "after2"))
    assert coded.digest == again.digest
    assert coded.size == coded.path.stat().st_size
    plain = decode(codec, coded.path, tmp_path / "plain")
    assert plain.digest == decode(codec, coded.path, tmp_path / "plain").digest
    assert read_layout(plain.path) == read_layout(source.path)
    with TensorFile(source.path) as before, TensorFile(plain.path) as after:
        for tensor in before.layout.tensors:
            if codec.lossless or not codec.takes(tensor.dtype):
                assert after[tensor.name].tobytes() == before[tensor.name].tobytes()
    left = {"source", "coded", "again", "plain"} | ({"after", "after2"} if codec.feedback else set())
    assert {path.name for path in tmp_path.iterdir()} == left


@CodecName
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_tensor_of_many_segments_comes_back(name: str, dtype: str, tmp_path: Path) -> None:
    codec = built(name)
    schema: list[Spec] = [("w", dtype, (2 * codec.segment + 3,))]
    source = save(tmp_path / "source", schema, model(schema, 1, 1e-3))
    coded = encode(codec, source.path, tmp_path / "coded", feedback(codec, tmp_path / "after"))
    checked(codec, coded.path.read_bytes(), read_layout(source.path), step=1 << 20)
    decode(codec, coded.path, tmp_path / "plain")
    with TensorFile(source.path) as before, TensorFile(tmp_path / "plain") as after:
        sent = to_float64(after["w"], dtype)
        assert sent.any()
        lost = to_float64(before["w"], dtype) - sent
    if codec.feedback:
        with TensorFile(tmp_path / "after") as noted:
            assert noted["w"].dtype == (np.float64 if dtype == "F64" else np.float32)
            assert np.allclose(noted["w"], lost, rtol=2**-20, atol=0)
    else:
        assert np.abs(lost).max() <= 2**-8 * 1e-2


@CodecName
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_what_passes_the_check_can_be_decoded(name: str, step: int, tmp_path: Path) -> None:
    codec, source = built(name), save(tmp_path / "source", SCHEMA[1:], model(SCHEMA[1:], 1))
    coded = encode(codec, source.path, tmp_path / "coded", feedback(codec, tmp_path / "after"))
    base = save(tmp_path / "base", SCHEMA, model(SCHEMA, 2))
    checked(codec, coded.path.read_bytes(), read_layout(base.path), frozenset({"w"}), step)
    with pytest.raises(BadInput, match=r"update of ward: tensors differ .*'w' is missing"):
        checked(codec, coded.path.read_bytes(), read_layout(base.path), step=step)


@CodecName
def test_a_file_that_lies_is_refused_by_check_and_decoder(name: str, tmp_path: Path) -> None:
    codec, source = built(name), save(tmp_path / "source", SCHEMA, model(SCHEMA, 1))
    coded = encode(codec, source.path, tmp_path / "coded", feedback(codec, tmp_path / "after"))
    layout, data = parts(coded.path)
    content = coded.path.read_bytes()
    lies = {
        "not coded at all": source.path.read_bytes(),
        "cut": content[:-1],
        "cut in its layout": content[:200],
        "longer than it says": content + b"\0",
        "bytes after the last tensor": raw_file(tmp_path / "lie", layout, data + b"\0").path.read_bytes(),
        "a segment that is missing": raw_file(tmp_path / "lie", layout, data[:-9]).path.read_bytes(),
        "a length of 4 GB": raw_file(tmp_path / "lie", layout, b"\xff\xff\xff\xff" + data[4:]).path.read_bytes(),
        "an empty segment": raw_file(tmp_path / "lie", layout, b"\0\0\0\0" + data[4:]).path.read_bytes(),
        "no layout": raw_file(tmp_path / "lie", b"", data).path.read_bytes(),
        "a layout that is none": raw_file(tmp_path / "lie", b"{1}", data).path.read_bytes(),
        "no data": raw_file(tmp_path / "lie", layout, b"").path.read_bytes(),
    }
    expected = read_layout(source.path)
    for lie, bytes_ in lies.items():
        (tmp_path / "lie").write_bytes(bytes_)
        with pytest.raises(BadInput):
            checked(codec, bytes_, expected)
            pytest.fail(lie)
        with pytest.raises(BadInput):
            decode(codec, tmp_path / "lie", tmp_path / "plain")
            pytest.fail(lie)
    assert not list(tmp_path.glob("*plain*"))


@CodecName
def test_a_layout_far_too_long_is_refused_unread(name: str, tmp_path: Path) -> None:
    base = read_layout(save(tmp_path / "base", SCHEMA, model(SCHEMA, 2)).path)
    lie = raw_file(tmp_path / "lie", b"{" + b" " * (2 << 20), b"").path.read_bytes()
    check = CodedCheck(built(name), base, frozenset(), "update of ward")
    with pytest.raises(BadInput, match="a layout of 2097153 bytes"):
        check.feed(lie[:300])


@CodecName
def test_a_segment_far_too_long_is_refused_unread(name: str, tmp_path: Path) -> None:
    codec, source = built(name), save(tmp_path / "source", SCHEMA, model(SCHEMA, 1))
    coded = encode(codec, source.path, tmp_path / "coded", feedback(codec, tmp_path / "after"))
    layout, data = parts(coded.path)
    # As long as the file may be, so that only the model's layout says that it cannot be.
    lie = raw_file(tmp_path / "lie", layout, (8 << 20).to_bytes(4, "little") + data[4:] + bytes(9 << 20)).path
    content = lie.read_bytes()
    check = CodedCheck(codec, read_layout(source.path), frozenset(), "update of ward")
    with pytest.raises(BadInput, match=r"coded tensor .* has 8388608 bytes for"):
        check.feed(content[: content.index(data[4:50])])


@CodecName
def test_nan_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """As it is sent by somebody who does not keep to our encoder; ints travel as they are."""
    codec = built(name)
    dtype = "F32"
    flat = np.full(3, np.nan, np.float32)
    with np.errstate(invalid="ignore"):
        try:
            data = codec.encode(flat.astype(np.float64) if codec.feedback else flat, dtype)
        except BadInput:
            return  # it cannot even say NaN
    lie = coded_file(tmp_path / "lie", [("w", dtype, (3,))], [data]).path
    model_ = read_layout(save(tmp_path / "model", [("w", dtype, (3,))], {"w": np.zeros(3, np.float32)}).path)
    with pytest.raises(BadInput, match="'w'"):
        checked(codec, lie.read_bytes(), model_)
    with pytest.raises(BadInput, match="'w'"):
        decode(codec, lie, tmp_path / "plain")


@CodecName
def test_a_coded_file_of_nothing_readable(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        decode(built(name), tmp_path / "nowhere", tmp_path / "plain")
