"""Filters: each against a plain computation over the whole update at once; the chain against the fold."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from rondo.aggregate.folding import fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.filters._ranking import percentile_of
from rondo.filters.chain import UpdateFile, run_chain
from rondo.tensors.dtypes import Kind, kind_of, to_float64
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import Spec
from tests.filters.outgoing import applied, outgoing
from tests.tensors.models import model, save, schemas

seeds = st.integers(0, 2**32)
sizes = st.floats(0, allow_infinity=False)
updates = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.lists(st.floats(-1e6, 1e6), max_size=6).map(np.array),
    min_size=1,
    max_size=4,
)


@given(st.lists(st.lists(sizes, max_size=5).map(np.array), min_size=1, max_size=4), st.floats(0, 100))
def test_percentiles_are_those_of_numpy(blocks: list[np.ndarray], q: float) -> None:
    blocks = [np.asarray(block, np.float64) for block in blocks]
    numbers = np.concatenate(blocks)
    assume(len(numbers))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = float(np.percentile(numbers, q))
    assume(math.isfinite(expected))
    assert percentile_of(lambda: iter(blocks), q) == expected


@given(updates, st.floats(0, 100), st.floats(1e-6, 1e6), st.sampled_from([0.0, 1.0, 7.0]))
def test_percentile_keeps_the_largest_and_clips_them(
    arrays: dict[str, np.ndarray], q: float, gamma: float, steps: float
) -> None:
    update = outgoing(arrays, steps)
    sent = applied("percentile", update, percentile=q, gamma=gamma)
    every = np.concatenate([np.abs(update.tensors[name]) / (steps or 1) for name in arrays])
    cut = np.percentile(every, q) if len(every) else 0.0
    for name, array in arrays.items():
        change = np.asarray(array, np.float64) / (steps or 1)
        expected = np.where(np.abs(change) < cut, 0.0, np.clip(change, -gamma, gamma)) * (steps or 1)
        assert np.array_equal(sent[name], expected)


@given(updates, st.floats(0.01, 1), st.floats(1e-3, 1e3), seeds)
def test_svt_sends_the_fraction_within_gamma(
    arrays: dict[str, np.ndarray], fraction: float, gamma: float, seed: int
) -> None:
    sent = applied("svt", outgoing(arrays), seed, fraction=fraction, gamma=gamma, tau=gamma * 1e-3)
    assert {name: array.shape for name, array in sent.items()} == {name: a.shape for name, a in arrays.items()}
    every = np.concatenate(list(sent.values()))
    assert np.abs(every).max(initial=0.0) <= gamma
    assert np.count_nonzero(every) == math.ceil(len(every) * fraction)


@given(schemas, seeds, st.sampled_from(["weights", "diff"]), st.data())
def test_an_empty_chain_changes_nothing_that_the_server_sees(
    schema: list[Spec], seed: int, kind: str, data: st.DataObject
) -> None:
    omitted = frozenset(data.draw(st.sets(st.sampled_from([spec[0] for spec in schema]))) if schema else ())
    with TemporaryDirectory() as name:
        folder = Path(name)
        base = save(folder / "base", schema, model(schema, seed)).path
        arrays = {name: array for name, array in model(schema, seed + 1).items() if name not in omitted}
        update = UpdateFile(save(folder / "update", schema, arrays).path, kind, omitted)  # type: ignore[arg-type]
        result = run_chain(base, update, [], 0, folder / "sent")
        assert result.omitted == omitted
        for sent in (
            Contribution("a", update.path, update.kind, 1.0, omitted),
            Contribution("a", result.file.path, result.kind, 1.0, result.omitted),
        ):
            fold(base, [sent], build_rule("mean", {}), folder / f"after {sent.kind} {sent.path.name}")
        with (
            TensorFile(folder / f"after {kind} update") as plain,
            TensorFile(folder / "after diff sent") as filtered,
        ):
            for tensor in plain.layout.tensors:
                one, other = plain[tensor.name], filtered[tensor.name]
                if kind_of(tensor.dtype) is Kind.FLOAT:
                    step = {"F64": 2**-52, "F32": 2**-23, "F16": 2**-10, "BF16": 2**-7}[tensor.dtype]
                    values = to_float64(one, tensor.dtype), to_float64(other, tensor.dtype)
                    assert np.allclose(*values, rtol=2 * step, atol=10 * step)
                else:
                    assert np.array_equal(one, other)
