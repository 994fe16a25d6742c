"""Run the filters of a site over an update before it is sent. Whatever is wrong raises: the update stays at home.

Theory of operation. All filters are built before anything is read, so a wrong option costs no training round.
The update becomes differences to the model received, computed tensor by tensor when a filter asks. What a filter
gives is looked at as it passes, to the next filter or into the file, and the filter and tensor that are wrong are
named. Only the last step rounds to the model's dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.base.rooms import pick
from rondo.filters.seam import Computed, Filter, Outgoing
from rondo.tensors.digest import FileInfo
from rondo.tensors.dtypes import Array, Kind, from_float64, kind_of, numpy_dtype, to_float64
from rondo.tensors.files import TensorFile, TensorWriter
from rondo.tensors.finite import finite_or_raise
from rondo.tensors.layout import Layout, Tensor, require_same

Spec = tuple[str, Mapping[str, Any]]
"""A filter's name and its options as people wrote them."""


@dataclass(frozen=True)
class UpdateFile:
    """An update as the trainer left it.

    ``kind``: new weights, or their difference to the model received. ``omitted``: tensors that are not in the
    file. ``steps``: local optimiser steps, 0 where not counted.
    """

    path: Path
    kind: Literal["weights", "diff"]
    omitted: frozenset[str] = frozenset()
    steps: float = 0.0


@dataclass(frozen=True)
class ChainResult:
    """What may be sent: always a difference, without the tensors ``omitted``."""

    file: FileInfo
    omitted: frozenset[str]
    kind: Literal["diff"] = "diff"


def check_filters(filters: Sequence[Spec]) -> None:
    """Raise ``NotFound`` for an unknown filter, ``BadInput`` for a wrong option; nothing is run."""
    _built(filters)


def run_chain(model: Path, update: UpdateFile, filters: Sequence[Spec], seed: int, out: Path) -> ChainResult:
    """Filter ``update``, made from ``model``, and write what may be sent to ``out``, as a difference.

    ``seed`` >= 0 is all the chance there is: equal inputs give equal bytes. Where filters add noise for privacy
    it must come from the site and be known to nobody else. In the file, floats are differences, integers
    differences that wrap around, bools the values themselves.

    Raises ``NotFound`` or ``BadInput`` for wrong filters, ``BadInput`` for an update that is not the model's
    layout or not finite and for a filter that breaks it, ``NoSpace``, and whatever a filter raises. ``out`` then
    does not exist.
    """
    chain = _built(filters)
    with TensorFile(model) as base, TensorFile(update.path) as sent:
        require_same(base.layout, sent.layout, update.omitted, "update")
        outgoing = _differences(base, sent, update)
        chances = np.random.SeedSequence(seed).spawn(len(chain))
        for (name, step), chance in zip(chain, chances, strict=True):
            after = step.apply(outgoing, np.random.default_rng(chance))
            outgoing = _checked(base.layout, outgoing, after, f"filter {name}")
        return ChainResult(_write(base, outgoing, out), outgoing.omitted)


def _built(filters: Sequence[Spec]) -> list[tuple[str, Filter]]:
    chain: list[tuple[str, Filter]] = []
    for name, options in filters:
        module = pick("rondo.filters", name)
        chain.append((name, module.build(decode(module.Options, options, f"filter {name}"))))
    return chain


def _differences(base: TensorFile, sent: TensorFile, update: UpdateFile) -> Outgoing:
    def made(name: str) -> Array:
        dtype, array = base.layout.by_name[name].dtype, sent[name]
        match kind_of(dtype), update.kind:
            case Kind.FLOAT, "weights":
                after = to_float64(array, dtype)
                return np.subtract(after, to_float64(base[name], dtype), out=after)
            case Kind.FLOAT, _:
                return to_float64(array, dtype)
            case Kind.INTEGER, "diff":
                return np.asarray(np.add(base[name], array))
        return array

    dtypes = {tensor.name: tensor.dtype for tensor in base.layout.tensors if tensor.name not in update.omitted}
    outgoing = Outgoing(Computed(dtypes, made), dtypes, update.omitted, update.steps)
    return _checked(base.layout, outgoing, outgoing, "update")


def _checked(model: Layout, before: Outgoing, after: Outgoing, where: str) -> Outgoing:
    """``after``, whose tensors are looked at when they are asked for. Raises ``BadInput`` for wrong names."""
    if not isinstance(after, Outgoing):
        raise BadInput(f"returned {type(after).__name__} instead of an update", where=where)
    names = set(after.tensors)
    for name in sorted(before.dtypes.keys() | names | after.omitted | before.omitted):
        if name not in before.dtypes and name not in before.omitted:
            raise BadInput(f"tensor {name!r} is not in the model", where=where)
        if name in before.omitted and name not in after.omitted:
            raise BadInput(f"tensor {name!r} was omitted before and must stay so", where=where)
        if (name in names) == (name in after.omitted):
            fault = "is both sent and omitted" if name in names else "is neither sent nor omitted"
            raise BadInput(f"tensor {name!r} {fault}", where=where)
    dtypes = {name: dtype for name, dtype in before.dtypes.items() if name in names}
    tensors = Computed(names, partial(_sound, model, after.tensors, where))
    return replace(after, tensors=tensors, dtypes=dtypes, steps=before.steps)


def _sound(model: Layout, tensors: Mapping[str, Array], where: str, name: str) -> Array:
    """One tensor as a filter gave it. Raises ``BadInput`` where it does not fit the model or is not finite."""
    tensor, array = model.by_name[name], tensors[name]
    due = np.dtype(np.float64) if kind_of(tensor.dtype) is Kind.FLOAT else numpy_dtype(tensor.dtype)
    if not isinstance(array, np.ndarray):
        raise BadInput(f"tensor {name!r} is a {type(array).__name__}, no array", where=where)
    if array.shape != tensor.shape:
        raise BadInput(f"tensor {name!r} has shape {array.shape} instead of {tensor.shape}", where=where)
    if array.dtype != due:
        raise BadInput(f"tensor {name!r} is {array.dtype} instead of {due}", where=where)
    if kind_of(tensor.dtype) is Kind.FLOAT:
        finite_or_raise(array.reshape(-1), "F64", name, where)
    return array


def _write(base: TensorFile, outgoing: Outgoing, out: Path) -> FileInfo:
    kept = [tensor for tensor in base.layout.tensors if tensor.name in outgoing.dtypes]
    with TensorWriter(out, [tensor.spec for tensor in kept]) as writer:
        for tensor in kept:
            writer.write(_stored(base, outgoing, tensor))
        return writer.close()


def _stored(base: TensorFile, outgoing: Outgoing, tensor: Tensor) -> Array:
    """The elements of one tensor as they go into the file, 1-d."""
    array = np.ascontiguousarray(outgoing.tensors[tensor.name]).reshape(-1)
    match kind_of(tensor.dtype):
        case Kind.FLOAT:
            rounded = from_float64(array.astype(np.float64, copy=False), tensor.dtype)
            finite_or_raise(rounded, tensor.dtype, tensor.name, f"update, rounded to {tensor.dtype}")
            return rounded
        case Kind.INTEGER:
            return np.subtract(array, base[tensor.name].reshape(-1))
        case Kind.BOOL:
            return array
