"""Arrays of numpy and torch become what a tensor file holds, and come back the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.base.errors import BadInput
from rondo.tensors.files import TensorFile
from rondo.worker.arrays import as_array, describe, for_script
from rondo.worker.handing import checked_metrics, checked_samples, checked_steps, write_tensors

TORCH = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", TORCH, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)], ids=str)
def test_torch_goes_out_and_comes_back(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.rand(shape) * 3).to(dtype)
    write_tensors({"x": tensor}, tmp_path / "out")
    before = (tmp_path / "out").read_bytes()
    back = for_script(tmp_path / "out")["x"]
    assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)
    back.fill_(0)  # it may be written to, and nobody else sees it
    assert (tmp_path / "out").read_bytes() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.rand(3, 2).T,
        lambda: torch.rand(4, 2)[::2],
        lambda: torch.nn.Parameter(torch.rand(2, 2)),
        lambda: torch.ones(1).expand(3),
        lambda: torch.rand(2, 2).to(torch.bfloat16).T,
    ],
)
def test_views_and_parameters_of_torch(make: Callable[[], torch.Tensor]) -> None:
    tensor = make()
    array = as_array(tensor)
    assert describe("x", tensor)[1] == array.shape and array.flags.c_contiguous
    expected = tensor.detach().to(torch.float32).numpy()
    bits = array.astype(np.uint32) << 16
    got = bits.view(np.float32) if tensor.dtype == torch.bfloat16 else array
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    "array",
    [np.arange(6, dtype=">f4").reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.float32(2), 1.5, 3, True],
    ids=str,
)
def test_any_numpy_array_or_number(array: Any) -> None:
    made = as_array(array)
    assert describe("x", array)[1] == np.shape(array) == made.shape
    assert made.flags.c_contiguous and made.dtype.byteorder in "=|<" and np.array_equal(made, array)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1.0], "x: is a list; it must be a numpy array or a torch tensor"),
        (None, "x: is a NoneType"),
        (np.array(["a"]), "x: numpy type <U1 cannot be stored"),
        (np.array([None]), "x: numpy type object cannot be stored"),
        (torch.ones(2, dtype=torch.complex64), "x: is a torch.strided tensor of torch.complex64; dense real"),
        (torch.eye(2).to_sparse(), "x: is a torch.sparse_coo tensor of torch.float32"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_named(value: Any, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        describe("x", value)
    assert str(caught.value).startswith(says)


def test_bfloat16_bits_of_numpy_stay_bfloat16(tmp_path: Path) -> None:
    write_tensors({"x": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "model")
    with TensorFile(tmp_path / "model") as model:
        write_tensors({"x": np.array(model["x"])}, tmp_path / "out", model=model.layout)
        assert (tmp_path / "out").read_bytes() == (tmp_path / "model").read_bytes()
        with pytest.raises(BadInput, match="has dtype F32 instead of BF16"):
            write_tensors({"x": np.ones(2, np.float32)}, tmp_path / "out", model=model.layout)


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), torch.tensor(0.5, requires_grad=True), 0.5])
def test_any_scalar_is_a_metric(value: Any) -> None:
    assert checked_metrics({"auc": value}, "metrics") == {"auc": 0.5}


def test_metrics_that_are_not_finite_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked_metrics({"a": float("nan"), "b": np.inf, "c": True, "d": np.int8(2)}, "metrics") == {
        "c": 1.0,
        "d": 2.0,
    }
    assert (
        capsys.readouterr().err
        == "[rondo] metrics['a'] is nan: not recorded\n[rondo] metrics['b'] is inf: not recorded\n"
    )


def test_steps_may_be_zero_and_samples_may_not() -> None:
    assert checked_steps(0) == 0.0 and checked_samples(np.int64(3)) == 3.0
    with pytest.raises(BadInput, match="samples: must be a finite number above 0"):
        checked_samples(0)
    with pytest.raises(BadInput, match="steps: must be a finite number"):
        checked_steps(float("nan"))
