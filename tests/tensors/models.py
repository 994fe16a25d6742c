"""Small models for tests: any schema, filled with finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from rondo.tensors.digest import FileInfo
from rondo.tensors.dtypes import Array, Kind, from_float64, kind_of, numpy_dtype
from rondo.tensors.files import write_tensors
from rondo.tensors.layout import Spec

FLOATS = ("F64", "F32", "F16", "BF16")
DTYPES = (*FLOATS, "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
schemas = st.lists(st.tuples(names, st.sampled_from(DTYPES), shapes), max_size=6, unique_by=lambda spec: spec[0])
float_schemas = st.lists(st.tuples(names, st.sampled_from(FLOATS), shapes), max_size=4, unique_by=lambda spec: spec[0])


def filled(dtype: str, shape: tuple[int, ...], rng: np.random.Generator, scale: float = 1.0) -> Array:
    """A finite array of ``dtype`` (bits for BF16); integers and bools over their whole range."""
    kind = numpy_dtype(dtype)
    if kind_of(dtype) is Kind.FLOAT:
        return from_float64(np.asarray(rng.normal(0, scale, shape)), dtype)
    if kind_of(dtype) is Kind.BOOL:
        return np.asarray(rng.integers(0, 2, shape)).astype(np.bool_)
    size = math.prod(shape) * kind.itemsize
    return np.frombuffer(rng.bytes(size), kind).reshape(shape)


def model(schema: Sequence[Spec], seed: int, scale: float = 1.0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: filled(dtype, shape, rng, scale) for name, dtype, shape in schema}


def save(path: Path, schema: Sequence[Spec], arrays: Mapping[str, Array]) -> FileInfo:
    """Write ``arrays``, those of ``schema`` that there are."""
    return write_tensors(path, arrays, {name: dtype for name, dtype, _ in schema})
