"""Each codec against numbers one can check by hand, and against those who lie to it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import zstandard

from rondo.base.errors import BadInput
from rondo.codecs.coding import Feedback, decode, encode
from rondo.codecs.seam import build_codec
from rondo.tensors.files import TensorFile, write_tensors
from tests.codecs.files import one_tensor


def test_bf16_rounds_to_nearest_even() -> None:
    codec = build_codec("bf16", {})
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1.5], np.float32)
    back = codec.decode(codec.encode(values, "F32"), "F32", 5)
    assert back.tolist() == [1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -1.5]
    wide = values.astype(np.float64)
    wide[3] = 1 + 2**-8 + 2**-40  # by way of float32 it would be a tie
    assert codec.decode(codec.encode(wide, "F64"), "F64", 5).tolist() == back.tolist()


@pytest.mark.parametrize("dtype", ["F32", "F64"])
def test_bf16_refuses_what_it_would_make_infinite(dtype: str) -> None:
    codec, kind = build_codec("bf16", {}), np.float32 if dtype == "F32" else np.float64
    with pytest.raises(BadInput, match="too large for bfloat16"):
        codec.encode(np.array([np.finfo(np.float32).max], kind), dtype)


def test_bf16_leaves_small_floats_alone() -> None:
    codec = build_codec("bf16", {})
    assert [codec.takes(dtype) for dtype in ("F64", "F32", "F16", "BF16", "I64")] == [True, True, False, False, False]


def test_int8_is_whole_steps_of_a_127th_of_the_largest() -> None:
    codec = build_codec("int8", {"block": 8})
    values = np.array([127.0, -127.0, 0.4, 0.5, 1.5, -2.5, 64.0, 0.0, 1270.0, 4.9, 5.0, -15.0])
    data = codec.encode(values, "F32")
    assert np.frombuffer(data, "<f4", 2).tolist() == [1.0, 10.0]
    assert np.frombuffer(data, np.int8, 12, 8).tolist() == [127, -127, 0, 0, 2, -2, 64, 0, 127, 0, 0, -2]
    assert codec.decode(data, "F32", 12).tolist() == [127, -127, 0, 0, 2, -2, 64, 0, 1270, 0, 0, -20]


def test_int8_of_nothing_and_of_next_to_nothing_is_nothing() -> None:
    codec = build_codec("int8", {})
    for values in (np.zeros(300), np.full(300, 1e-300)):
        assert not codec.decode(codec.encode(values, "F64"), "F64", 300).any()


def test_int8_refuses_what_has_no_scale() -> None:
    with pytest.raises(BadInput, match="too large for float32 scales"):
        build_codec("int8", {}).encode(np.array([1e300]), "F64")


@pytest.mark.parametrize("scale", [np.nan, np.inf, -1.0])
def test_int8_refuses_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(BadInput, match="a scale that is"):
        build_codec("int8", {}).decode(struct.pack("<f3b", scale, 1, 2, 3), "F32", 3)


def test_int8_refuses_a_step_that_no_encoder_makes() -> None:
    with pytest.raises(BadInput, match="-128 steps where 127"):
        build_codec("int8", {}).decode(struct.pack("<f3b", 1.0, 1, -128, 3), "F32", 3)


def test_topk_sends_the_largest_and_the_first_of_equals() -> None:
    codec = build_codec("topk", {"fraction": 0.3})
    values = np.array([0.0, -9.0, 3.0, 2.0, 3.0, -3.0, 1.0, 0.5, 0.1, 0.2])
    data = codec.encode(values, "F32")
    assert data == struct.pack("<3H3f", 1, 2, 4, -9.0, 3.0, 3.0)
    assert codec.decode(data, "F32", 10).tolist() == [0, -9, 3, 0, 3, 0, 0, 0, 0, 0]


def test_topk_sends_one_element_of_the_smallest_tensor() -> None:
    codec = build_codec("topk", {"fraction": 0.001})
    assert [codec.most("F32", count) // 6 for count in (1, 999, 1001, 2000)] == [1, 1, 2, 2]
    assert build_codec("topk", {"fraction": 0.07}).most("F32", 100) == 7 * 6


@pytest.mark.parametrize("indices", [(1, 1, 2), (2, 1, 3), (1, 2, 10), (7, 8, 65535)])
def test_topk_refuses_indices_that_lie(indices: tuple[int, ...]) -> None:
    data = struct.pack("<3H3f", *indices, 1.0, 2.0, 3.0)
    with pytest.raises(BadInput, match="indices that do not rise, or reach beyond 10"):
        build_codec("topk", {"fraction": 0.3}).decode(data, "F32", 10)


def test_planes_put_the_same_bytes_side_by_side() -> None:
    codec = build_codec("planes", {})
    data = codec.encode(np.array([0x01020304, 0x01020305], np.uint32), "U32")
    assert zstandard.ZstdDecompressor().decompress(data) == bytes([4, 5, 3, 3, 2, 2, 1, 1])


def test_planes_of_a_model_are_smaller() -> None:
    weights = np.random.default_rng(0).normal(0, 0.02, 1 << 17).astype(np.float32)
    data = build_codec("planes", {}).encode(weights, "F32")
    assert 1.15 < weights.nbytes / len(data) < 1.3


def test_planes_refuse_bombs() -> None:
    codec = build_codec("planes", {})
    compressor = zstandard.ZstdCompressor()
    bomb = compressor.compress(bytes(100 << 20))  # 100 MiB in some thousand bytes
    with pytest.raises(BadInput, match="a frame of 104857600 bytes where 400 are due"):
        codec.decode(bomb, "F32", 100)
    silent = zstandard.ZstdCompressor(write_content_size=False).compressobj().compress(bytes(100 << 20))
    with pytest.raises(BadInput, match="where 400 are due"):
        codec.decode(silent, "F32", 100)
    # A frame that says 400 bytes, and whose blocks then make far more.
    lying = bytearray(zstandard.ZstdCompressor(write_checksum=False).compress(bytes(1 << 16)))
    honest = compressor.compress(bytes(400))
    assert zstandard.get_frame_parameters(honest).content_size == 400
    size = zstandard.frame_header_size(bytes(lying))
    with pytest.raises(BadInput, match=r"no sound frame|where 400 are due"):
        codec.decode(honest[: zstandard.frame_header_size(honest)] + bytes(lying[size:]), "F32", 100)
    with pytest.raises(BadInput, match="no sound frame"):
        codec.decode(honest + honest, "F32", 100)
    with pytest.raises(BadInput, match="no sound frame"):
        codec.decode(b"no frame at all, whatever", "F32", 100)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("int8", {"block": 7}, "block must be from 8"),
        ("int8", {"block": 65537}, "to 65536"),
        ("topk", {"fraction": 0.0}, "fraction must be above 0"),
        ("topk", {"fraction": 0.51}, "at most 0.5"),
        ("planes", {"level": 0}, "level must be from 1 to 19"),
        ("planes", {"level": 20}, "level must be from 1 to 19"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, float], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        build_codec(name, options)


def test_feedback_is_what_was_lost(tmp_path: Path) -> None:
    """The second update of zeros sends what the first one kept back."""
    codec = build_codec("topk", {"fraction": 0.25})
    first = one_tensor(tmp_path / "first", np.array([4.0, 3.0, 2.0, 1.0], np.float32)).path
    zeros = one_tensor(tmp_path / "zeros", np.zeros(4, np.float32)).path
    sent, before = [], None
    for number, source in enumerate((first, zeros, zeros, zeros, zeros)):
        coded = encode(codec, source, tmp_path / "coded", Feedback(before, tmp_path / f"after-{number}"))
        before = tmp_path / f"after-{number}"
        with TensorFile(decode(codec, coded.path, tmp_path / "plain").path) as file:
            sent.append(file["w"].tolist())
    assert sent == [[4, 0, 0, 0], [0, 3, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_feedback_goes_only_to_tensors_that_are_sent(tmp_path: Path) -> None:
    codec = build_codec("topk", {"fraction": 0.5})
    both = write_tensors(tmp_path / "both", {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}).path
    encode(codec, both, tmp_path / "coded", Feedback(None, tmp_path / "one"))
    only = write_tensors(tmp_path / "only", {"b": np.array([0.0, 0.0])}).path
    encode(codec, only, tmp_path / "coded", Feedback(tmp_path / "one", tmp_path / "two"))
    with TensorFile(tmp_path / "two") as file:
        assert list(file) == ["b"] and file["b"].tolist() == [0.0, 0.0]
    with TensorFile(decode(codec, tmp_path / "coded", tmp_path / "plain").path) as file:
        assert file["b"].tolist() == [3.0, 0.0]


def test_feedback_of_another_model_is_refused(tmp_path: Path) -> None:
    codec = build_codec("topk", {"fraction": 0.5})
    source = one_tensor(tmp_path / "source", np.zeros(4, np.float32)).path
    other = one_tensor(tmp_path / "other", np.zeros(5, np.float32)).path
    with pytest.raises(BadInput, match="tensor 'w' is not that of the model"):
        encode(codec, source, tmp_path / "coded", Feedback(other, tmp_path / "after"))
    assert not (tmp_path / "after").exists() and not (tmp_path / "coded").exists()


def test_what_a_codec_cannot_carry_names_its_tensor(tmp_path: Path) -> None:
    source = one_tensor(tmp_path / "source", np.array([3.4e38], np.float32)).path
    with pytest.raises(BadInput, match="update: tensor 'w' holds a number that is too large for bfloat16"):
        encode(build_codec("bf16", {}), source, tmp_path / "coded")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_sum_that_overflows_its_dtype_is_refused(tmp_path: Path) -> None:
    source = one_tensor(tmp_path / "source", np.array([60000.0], np.float16)).path
    before = one_tensor(tmp_path / "before", np.array([60000.0], np.float32)).path
    with pytest.raises(BadInput, match="update, once it is coded: tensor 'w' holds NaN or infinity"):
        encode(build_codec("topk", {}), source, tmp_path / "coded", Feedback(before, tmp_path / "after"))
