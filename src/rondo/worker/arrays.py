"""Arrays of other libraries as numpy arrays, and back. torch is looked at only where the user imported it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rondo.base.errors import BadInput
from rondo.tensors.dtypes import dtype_of
from rondo.tensors.files import TensorFile

Array = NDArray[Any]

_TORCH = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}


def describe(name: str, value: Any) -> tuple[str, tuple[int, ...]]:
    """dtype (safetensors name) and shape of ``value``, without copying it.

    Raises ``BadInput`` naming the tensor for what is neither a numpy array, a number nor a dense torch tensor.
    """
    if _is_torch(value):
        dtype = _TORCH.get(str(value.dtype).removeprefix("torch."), "")
        if not dtype or str(value.layout) != "torch.strided":
            raise BadInput(f"is a {value.layout} tensor of {value.dtype}; dense real tensors can be sent", where=name)
        return dtype, tuple(value.shape)
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        array = np.asarray(value)
        try:
            return dtype_of(array.dtype), array.shape
        except BadInput as error:
            raise BadInput(error.what, where=name, hint=error.hint) from None
    raise BadInput(f"is a {type(value).__name__}; it must be a numpy array or a torch tensor", where=name)


def as_array(value: Any) -> Array:
    """``value`` (that ``describe`` accepts) as a little-endian C-ordered array; bfloat16 as its bits in ``uint16``."""
    if _is_torch(value):
        dense = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        if str(dense.dtype) == "torch.bfloat16":
            return np.asarray(dense.view(sys.modules["torch"].int16).numpy()).view(np.uint16)
        return np.asarray(dense.numpy())
    array = np.asarray(value)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def for_script(path: Path) -> dict[str, Any]:
    """The tensors of a file, mapped; a script may change them, which copies what it changes. Torch tensors where it has
    imported torch, else numpy arrays. Raises ``BadInput``."""
    torch = sys.modules.get("torch")
    with TensorFile(path, private=True) as file:
        given: dict[str, Any] = dict(file)
        if torch is not None:
            for tensor in file.layout.tensors:
                made = torch.from_numpy(given[tensor.name])
                given[tensor.name] = made.view(torch.bfloat16) if tensor.dtype == "BF16" else made
    return given


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
