from __future__ import annotations

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import from_float64
from rondo.tensors.finite import finite_or_raise, first_nonfinite
from tests.tensors.models import FLOATS


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_is_found(dtype: str, bad: float) -> None:
    values = np.array([0.0, -1.0, bad, 1.0, bad])
    assert first_nonfinite(from_float64(values, dtype), dtype) == 2


@pytest.mark.parametrize(("dtype", "largest"), [("F64", 1.7e308), ("F32", 3.4e38), ("F16", 65504.0), ("BF16", 3.3e38)])
def test_the_largest_numbers_are_finite(dtype: str, largest: float) -> None:
    assert first_nonfinite(from_float64(np.array([largest, -largest, 0.0]), dtype), dtype) is None
    assert first_nonfinite(from_float64(np.array([]), dtype), dtype) is None


def test_integers_are_always_finite() -> None:
    assert first_nonfinite(np.array([0x7F80], np.uint16), "U16") is None
    assert first_nonfinite(np.array([True]), "BOOL") is None


def test_the_error_names_tensor_place_and_file() -> None:
    with pytest.raises(BadInput, match=r"^update of ward: tensor 'conv.bias' holds NaN .*flat index 12\)"):
        finite_or_raise(np.array([1, np.inf]), "F64", "conv.bias", "update of ward", first=11)
