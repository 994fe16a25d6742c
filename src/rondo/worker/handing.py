"""What a trainer hands in, checked against the model it was given, then written."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import TensorWriter
from rondo.tensors.finite import finite_or_raise
from rondo.tensors.header import PREFIX
from rondo.tensors.layout import Layout, header_of, parse_header, require_same
from rondo.worker.arrays import as_array, describe

_told: set[str] = set()


def note(text: str) -> None:
    """One line in the worker's log, once."""
    if text not in _told:
        _told.add(text)
        sys.stderr.write(f"[rondo] {text}\n")


def write_tensors(
    tensors: Any,
    out: Path,
    *,
    model: Layout | None = None,
    omitted: Collection[str] = (),
    where: str = "update",
) -> FileInfo:
    """Write what a trainer returned as its model; beyond it, memory holds one tensor.

    ``model``: the layout it must have, less what is ``omitted``. float64 where the model has float32 (numpy promotes
    silently) is rounded and noted. Raises ``BadInput`` naming the tensors that differ, hold NaN or infinity, or are no
    arrays.
    """
    if not isinstance(tensors, Mapping):
        raise BadInput(f"is a {type(tensors).__name__}; it must map tensor names to arrays", where=where)
    described = []
    for name in sorted(tensors, key=str):
        dtype, shape = describe(name, tensors[name])
        described.append((name, _kept(name, dtype, model), shape))
    got = parse_header(header_of(described)[PREFIX:], where)
    if model is not None:
        require_same(model, got, frozenset(omitted), where)
    with TensorWriter(out, described) as file:
        for tensor in got.tensors:
            flat = as_array(tensors[tensor.name]).reshape(-1)
            if tensor.dtype == "F32":
                with np.errstate(over="ignore"):  # what overflows is found in the next line
                    flat = flat.astype("<f4", copy=False)
            finite_or_raise(flat, tensor.dtype, tensor.name, where)
            file.write(flat)
        return file.close()


def _kept(name: str, dtype: str, model: Layout | None) -> str:
    """The dtype to write ``name`` in: the model's, where that loses nothing that was meant."""
    wanted = model.get(name) if model is not None else None
    match dtype, wanted.dtype if wanted is not None else "":
        case "F64", "F32":
            note("the update has float64 where the model has float32: rounded to float32")
            return "F32"
        case "U16", "BF16":  # without torch a bfloat16 tensor is its bits
            return "BF16"
    return dtype


def checked_metrics(metrics: Any, of: str) -> dict[str, float]:
    """Plain floats. NaN and infinity are left out and noted. Raises ``BadInput`` naming what is no number."""
    if not isinstance(metrics, Mapping):
        raise BadInput(f"are a {type(metrics).__name__}; they must map names to numbers", where=of)
    found: dict[str, float] = {}
    for name, value in metrics.items():
        number = _number(value, f"{of}[{name!r}]")
        if math.isfinite(number):
            found[str(name)] = number
        else:
            note(f"{of}[{name!r}] is {number}: not recorded")
    return found


def checked_samples(samples: Any) -> float:
    """Raises ``BadInput`` unless ``samples`` is a finite number above zero."""
    number = _number(samples, "samples")
    if not (math.isfinite(number) and number > 0):
        raise BadInput(f"must be a finite number above 0, got {number}", where="samples")
    return number


def checked_steps(steps: Any) -> float:
    """Raises ``BadInput`` unless ``steps`` is a finite number, 0 or more."""
    number = _number(steps, "steps")
    if not (math.isfinite(number) and number >= 0):
        raise BadInput(f"must be a finite number, 0 or more, got {number}", where="steps")
    return number


def _number(value: Any, where: str) -> float:
    if getattr(value, "shape", ()) == () and not isinstance(value, str | bytes):
        try:
            return float(value.item() if hasattr(value, "item") else value)
        except (TypeError, ValueError):
            pass
    raise BadInput(f"must be a number, got {type(value).__name__}", where=where)
