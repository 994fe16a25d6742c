from __future__ import annotations

import json
from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.tensors.header import MAX_TENSORS, header_length
from rondo.tensors.layout import Layout, Spec, Tensor, header_of, parse_header, read_layout, require_same

A: Spec = ("a", "F32", (2, 3))
B: Spec = ("b", "I64", ())
C: Spec = ("c", "F16", (0, 5))


def layout(*schema: Spec) -> Layout:
    return parse_header(header_of(schema)[8:], "test")


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_the_header_says_where_everything_is() -> None:
    header = header_of([B, A, C])
    assert len(header) % 8 == 0
    found = parse_header(header[8:], "test")
    start = len(header)
    assert found.tensors == (
        Tensor("b", "I64", (), start, start + 8),
        Tensor("a", "F32", (2, 3), start + 8, start + 32),
        Tensor("c", "F16", (0, 5), start + 32, start + 32),
    )
    assert found.size == start + 32
    assert found.names() == ("b", "a", "c")
    assert found.schema() == (A, B, C) and found.specs() == (B, A, C)
    assert found.get("a") is found.tensors[1] and found.get("z") is None
    assert [tensor.count for tensor in found.tensors] == [1, 6, 0]


def test_a_byte_belongs_to_a_tensor() -> None:
    found = layout(B, A)
    start = found.tensors[0].start
    assert [found.at(start + place).name for place in (0, 7, 8, 31)] == ["b", "b", "a", "a"]
    with pytest.raises(ValueError, match="no tensor"):
        found.at(start + 32)


def test_a_header_of_nothing() -> None:
    assert layout().tensors == () and layout().size == 16


REFUSED_SCHEMAS = [
    ([A, A], "'a' is used twice"),
    ([("__metadata__", "F32", ())], "reserved"),
    ([("a", "F8_E4M3", ())], "'a': dtype 'F8_E4M3' is not supported"),
    ([("a", "F32", (-1,))], "'a' has a shape"),
    ([("a", "F32", (1,) * 33)], "over 32 dimensions"),
    ([("a", "F32", (2**31, 2**31))], "beyond any memory"),
    ([("a", "F32", (0, 2**62))], "beyond any memory"),
    ([("\ud800", "F32", ())], "not valid text"),
    ([("a" * 4097, "F32", ())], "more than 4096 bytes"),
]


@pytest.mark.parametrize(("schema", "message"), REFUSED_SCHEMAS)
def test_a_schema_that_no_file_can_hold(schema: list[Spec], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        header_of(schema)


LIES: list[tuple[object, str]] = [
    (b"[]", "not a JSON object"),
    (b"{", "not JSON"),
    (b"{}{}", "not JSON"),
    (b'{"a": \xff}', "not JSON"),
    (b'{"a":' * 100_000, "not JSON"),
    (b'{"a":{"dtype":"F32","shape":[1' + b"0" * 5000 + b'],"data_offsets":[0,4]}}', "not JSON"),
    (b'{"a":1,"a":2}', "'a' occurs twice"),
    (b'{"a":{"dtype":"F32","dtype":"F32"}}', "'dtype' occurs twice"),
    ({"a": 1}, "'a' must have exactly"),
    ({"a": entry() | {"more": 1}}, "'a' must have exactly"),
    ({"a": {"dtype": "F32", "shape": [1]}}, "'a' must have exactly"),
    ({"a": entry(dtype=1)}, "'a' has a dtype that is not text"),
    ({"a": entry(dtype="F8_E5M2")}, "'a': dtype 'F8_E5M2' is not supported"),
    ({"a": entry(shape=1)}, "'a' has a shape or offsets that are not"),
    ({"a": entry(shape=[1.0])}, "'a' has a shape or offsets that are not"),
    ({"a": entry(shape=[True])}, "'a' has a shape or offsets that are not"),
    ({"a": entry(shape=[-1])}, "'a' has a shape that is negative"),
    ({"a": entry(shape=[1] * 33)}, "over 32 dimensions"),
    ({"a": entry(shape=[2**62, 2**62])}, "'a' has a shape beyond any memory"),
    ({"a": entry(shape=[0, 2**62], offsets=[0, 0])}, "'a' has a shape beyond any memory"),
    ({"a": entry(offsets=[0])}, "'a' has a shape or offsets that are not"),
    ({"a": entry(offsets=[0, 8])}, "'a' has 8 bytes at 0 where dtype and shape need 4"),
    ({"a": entry(offsets=[4, 0])}, "'a' has -4 bytes"),
    ({"a": entry(offsets=[-4, 0])}, "'a' has 4 bytes at -4"),
    ({"a": entry(offsets=[4, 8])}, "'a' leaves 4 bytes unused"),
    ({"a": entry(), "b": entry()}, "'b' overlaps"),
    ({"a": entry(), "b": entry(offsets=[3, 7])}, "'b' overlaps"),
    ({"a": entry(), "b": entry(offsets=[5, 9])}, "'b' leaves 1 bytes unused"),
    ({"a": entry(), "b": entry(shape=[0], offsets=[2, 2])}, "'a' overlaps|'b' overlaps|'b' leaves"),
    ({"\ud800": entry()}, "not valid text"),
    ({"__metadata__": {"a": 1}}, "must map names to text"),
    ({"__metadata__": []}, "must map names to text"),
]


@pytest.mark.parametrize(("lie", "message"), LIES)
def test_a_header_that_lies(lie: object, message: str) -> None:
    text = lie if isinstance(lie, bytes) else json.dumps(lie).encode()
    with pytest.raises(BadInput, match=rf"^ward: .*({message})"):
        parse_header(text, "ward")


def test_no_more_tensors_than_anyone_needs() -> None:
    empty = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    text = b"{" + b",".join(b'"%d":%s' % (n, empty) for n in range(MAX_TENSORS + 1)) + b"}"
    with pytest.raises(BadInput, match="200001 tensors where at most 200000"):
        parse_header(text, "ward")


def test_metadata_and_other_orders_are_read() -> None:
    text = {"b": entry(offsets=[4, 8]), "__metadata__": {"format": "pt"}, "a": entry(), "e": entry("U8", [0], [4, 4])}
    assert parse_header(json.dumps(text).encode(), "test").names() == ("a", "e", "b")


@pytest.mark.parametrize("length", [0, 1, (64 << 20) + 1, 2**64 - 1])
def test_a_header_length_that_cannot_be(length: int) -> None:
    with pytest.raises(BadInput, match=f"header of {length} bytes"):
        header_length(length.to_bytes(8, "little"), "ward")


@pytest.mark.parametrize("content", [b"", b"\x02", (2).to_bytes(8, "little"), (3).to_bytes(8, "little") + b"{}"])
def test_a_file_too_short_for_its_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "short"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"short: header of \d+ bytes"):
        read_layout(path)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size(tmp_path: Path, change: int) -> None:
    header = header_of([A])
    path = tmp_path / "file"
    path.write_bytes(header + bytes(24 + change))
    with pytest.raises(BadInput, match=f"describes {len(header) + 24} bytes, the file has {len(header) + 24 + change}"):
        read_layout(path)


@pytest.mark.parametrize("name", ["gone", "."])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_layout(tmp_path / name)


def test_the_same_tensors_in_any_order_are_the_same() -> None:
    require_same(layout(A, B, C), layout(C, A, B))
    require_same(layout(A, B, C), layout(C, A), frozenset({"b"}))
    require_same(layout(), layout())


DIFFERENT = [
    ((A, B), (A,), (), "'b' is missing;?"),
    ((A,), (A, B), (), "'b' is not in the model"),
    ((A, B), (A, ("d", *B[1:])), (), r"'b' is missing \(renamed to 'd'\?\)"),
    ((A, B), (A, ("d", "F32", (9,))), (), "'b' is missing; 'd' is not in the model"),
    ((A,), (("a", "F32", (3, 2)),), (), r"'a' has shape \[3, 2\] instead of \[2, 3\]"),
    ((A,), (("a", "F16", (2, 3)),), (), "'a' has dtype F16 instead of F32"),
    ((A, B), (A, B), ("b",), "'b' is declared omitted but was sent"),
    ((A, B), (A, B), ("z",), "'z' is omitted but the model has no such tensor"),
    ((A, B, C), (("a", "F32", (6,)),), ("c",), r"'a' has shape \[6\].*; 'b' is missing"),
]


@pytest.mark.parametrize(("expected", "got", "omitted", "message"), DIFFERENT)
def test_every_difference_is_named(
    expected: tuple[Spec, ...], got: tuple[Spec, ...], omitted: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BadInput, match=rf"^ward: tensors differ from the model: {message}"):
        require_same(layout(*expected), layout(*got), frozenset(omitted), "ward")


def test_many_differences_are_counted() -> None:
    many = [(f"t{number}", "F32", ()) for number in range(20)]
    with pytest.raises(BadInput, match=r"'t0' is missing; .*; and 12 more"):
        require_same(layout(*many), layout())
