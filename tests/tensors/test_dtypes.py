from __future__ import annotations

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Kind, dtype_of, from_float64, item_size, kind_of, numpy_dtype, to_float64
from tests.tensors.models import DTYPES, FLOATS


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_a_kind_a_size_and_a_numpy_type(dtype: str) -> None:
    assert item_size(dtype) == numpy_dtype(dtype).itemsize
    assert kind_of(dtype) is (Kind.FLOAT if dtype in FLOATS else Kind.BOOL if dtype == "BOOL" else Kind.INTEGER)
    assert dtype_of(numpy_dtype(dtype)) == ("U16" if dtype == "BF16" else dtype)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "C64", "F128", "f32", ""])
def test_what_cannot_be_averaged_is_refused(dtype: str) -> None:
    for look in (kind_of, item_size, numpy_dtype):
        with pytest.raises(BadInput, match="not supported"):
            look(dtype)


@pytest.mark.parametrize("array", [np.zeros(1, np.complex64), np.zeros(1, object), np.array(["text"])])
def test_what_cannot_be_stored_is_refused(array: np.ndarray) -> None:
    with pytest.raises(BadInput, match="cannot be stored"):
        dtype_of(array.dtype)


def test_byte_order_does_not_change_the_dtype() -> None:
    assert dtype_of(np.dtype(">f4")) == "F32"


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    bits = np.array([0x3F80, 0xC000, 0x0000, 0x7F80, 0x0001], np.uint16)
    assert to_float64(bits, "BF16").tolist() == [1.0, -2.0, 0.0, np.inf, 2.0**-133]


ROUNDED = [
    (1.0, 0x3F80),
    (1.00390625, 0x3F80),  # half way between 1 and 1 + 2**-7: to even, down
    (1.01171875, 0x3F82),  # half way, to even, up
    (1.00390625 + 2**-40, 0x3F81),  # a float32 in between would have lost what makes it more than half
    (-1.00390625 - 2**-40, 0xBF81),
    (1.01171875 - 2**-40, 0x3F81),
    (0.0, 0x0000),
    (-0.0, 0x8000),
    (1e-300, 0x0000),
    (-1e-300, 0x8000),
    (1e300, 0x7F80),
    (float("inf"), 0x7F80),
    (float("-inf"), 0xFF80),
    (2.0**128 - 2.0**120, 0x7F7F),  # the largest
    (2.0**128 - 2.0**119, 0x7F80),  # half way to what would come next
    (2.0**128 - 2.0**119 - 2.0**80, 0x7F7F),
    (float("nan"), 0x7FC0),
]


@pytest.mark.parametrize(("value", "bits"), ROUNDED)
def test_bfloat16_is_rounded_once(value: float, bits: int) -> None:
    assert from_float64(np.array([value]), "BF16").tolist() == [bits]


def test_a_nan_stays_one_whatever_its_bits() -> None:
    nans = np.array([2**63 - 1, 2**64 - 1, 0x7FF0000000000001], np.uint64).view(np.float64)
    assert from_float64(nans, "BF16").tolist() == [0x7FC0] * 3


def test_float16_is_rounded_once_and_may_overflow() -> None:
    values = np.array([1 + 2**-11, 1 + 2**-11 + 2**-40, 65519.0, 65520.0])
    assert from_float64(values, "F16").tolist() == [1.0, 1 + 2**-10, 65504.0, np.inf]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_any_shape_and_a_given_place(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.full(shape, 1.5)
    stored = from_float64(values, dtype)
    assert stored.shape == shape and stored.dtype == numpy_dtype(dtype)
    place = np.empty(shape, numpy_dtype(dtype))
    assert from_float64(values, dtype, place) is place
    assert place.tobytes() == stored.tobytes()
    block = np.empty(shape)
    assert to_float64(stored, dtype, block) is block
    assert np.array_equal(block, values) and np.array_equal(to_float64(stored, dtype), values)
