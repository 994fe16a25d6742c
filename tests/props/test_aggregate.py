"""Folding: equal to a plain float64 computation, independent of order and of where blocks end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.aggregate.folding import Memories, Way, fold, one_by_one
from rondo.aggregate.seam import Contribution, Remembers, Survey, build_rule
from rondo.base.rooms import names, pick
from rondo.tensors.dtypes import Array, Block, Kind, from_float64, kind_of, to_float64
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import Spec
from rondo.worker.threads import SideBySide
from tests.tensors.models import model, save, schemas

RULES = names("rondo.aggregate")
BETWEEN = [name for name in RULES if not isinstance(build_rule(name, {}), (Remembers, Survey))]
"""Rules that know only the values at one place, and stay between them."""

STEP = {"F64": 2**-52, "F32": 2**-23, "F16": 2**-10, "BF16": 2**-7}
"""From 1 to the next number."""
SMALLEST = {"F16": 2**-24}


@dataclass(frozen=True)
class Sent:
    site: str
    kind: Literal["weights", "diff"]
    weight: float
    omitted: frozenset[str]
    arrays: Mapping[str, Array]

    def values(self, name: str, dtype: str, base: Mapping[str, Array]) -> Block:
        values = to_float64(self.arrays[name], dtype)
        return to_float64(base[name], dtype) + values if self.kind == "diff" else values


@dataclass(frozen=True)
class Case:
    schema: list[Spec]
    base: Mapping[str, Array]
    sent: list[Sent]
    segment: int
    threads: int = 1

    def senders(self, name: str) -> list[Sent]:
        """Who sent a tensor, in the order of the sites' names."""
        return sorted((one for one in self.sent if name not in one.omitted), key=lambda one: one.site)


@st.composite
def cases(draw: st.DrawFn, rule: str = "mean") -> Case:
    schema = draw(schemas)
    least = getattr(pick("rondo.aggregate", rule).Options(), "least_updates", 1)
    names = st.text("abAB_1", min_size=1, max_size=3)
    sites = draw(st.lists(names, min_size=least, max_size=least + 4, unique=True))
    tensors = [name for name, _, _ in schema]
    sent = [
        Sent(
            site,
            draw(st.sampled_from(["weights", "diff"])),
            draw(st.floats(1e-3, 1e4)),
            draw(st.frozensets(st.sampled_from(tensors)) if tensors else st.just(frozenset())),
            model(schema, draw(st.integers(0, 2**32))),
        )
        for site in sites
    ]
    return Case(schema, model(schema, draw(st.integers(0, 2**32))), sent, draw(st.sampled_from([1, 16, 1 << 20])))


def folded(case: Case, rule: str, order: Sequence[Sent] | None = None) -> dict[str, Array]:
    with TemporaryDirectory() as folder:
        base = save(Path(folder, "base"), case.schema, case.base).path
        contributions = []
        for number, one in enumerate(order or case.sent):
            part = {name: array for name, array in one.arrays.items() if name not in one.omitted}
            path = save(Path(folder, f"sent{number}"), case.schema, part).path
            contributions.append(Contribution(one.site, path, one.kind, one.weight, one.omitted))
        each = SideBySide(case.threads) if case.threads > 1 else one_by_one
        way, memories = Way(segment_bytes=case.segment, each=each), Memories(None, Path(folder, "kept"))
        made = fold(base, contributions, build_rule(rule, {}), Path(folder, "out"), memories, way)
        with TensorFile(Path(folder, "out")) as out, TensorFile(base) as before:
            assert out.layout == before.layout
            kept = {"kept": np.frombuffer(memories.after.read_bytes(), np.uint8)} if made.memory else {}
            return {name: array.copy() for name, array in out.items()} | kept


def bits(model: Mapping[str, Array]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.items()}


Reference = Callable[[Block, Block], Block]
"""From values (sites first) and weights to the result, written down plainly."""


def plain_mean(values: Block, weights: Block) -> Block:
    result: Block = np.tensordot(weights, values, 1) / weights.sum()
    return result


def plain_trimmed(values: Block, weights: Block) -> Block:
    cut = math.floor(0.1 * len(values))
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


PLAIN: dict[str, Reference] = {
    "mean": plain_mean,
    "median": lambda values, weights: np.asarray(np.median(values, axis=0)),
    "trimmed_mean": plain_trimmed,
}


@pytest.mark.parametrize("rule", sorted(PLAIN))
@given(case=cases())
def test_floats_are_what_a_plain_computation_says(rule: str, case: Case) -> None:
    result = folded(case, rule)
    for name, dtype, shape in case.schema:
        senders = case.senders(name)
        if kind_of(dtype) is not Kind.FLOAT or not senders:
            continue
        values = np.array([one.values(name, dtype, case.base) for one in senders])
        expected = PLAIN[rule](values, np.array([one.weight for one in senders]))
        found = to_float64(result[name], dtype)
        # Two roundings to the dtype at most apart: the sums, in another order, may end on two sides of a half.
        scale = np.abs(values).max(axis=0, initial=0.0)
        sums = 4 * len(senders) * STEP["F64"] * scale
        assert found.shape == shape
        assert (np.abs(found - expected) <= sums + STEP[dtype] * np.abs(expected) + SMALLEST.get(dtype, 0.0)).all()


@given(cases())
def test_other_dtypes_follow_their_policy(case: Case) -> None:
    result = folded(case, "mean")
    for name, dtype, _ in case.schema:
        senders = case.senders(name)
        if not senders or kind_of(dtype) is Kind.BOOL:
            assert bits(result)[name] == bits(case.base)[name]
        elif kind_of(dtype) is Kind.INTEGER:
            sums = [one.arrays[name] + (case.base[name] if one.kind == "diff" else 0) for one in senders]
            assert np.array_equal(result[name], np.max(np.array(sums).astype(result[name].dtype), axis=0))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25)
@given(data=st.data())
def test_order_segments_and_threads_change_no_bit(rule: str, data: st.DataObject) -> None:
    case = data.draw(cases(rule))
    order = data.draw(st.permutations(case.sent))
    again = replace(case, segment=data.draw(st.integers(1, 64)), threads=data.draw(st.integers(1, 4)))
    assert bits(folded(case, rule)) == bits(folded(again, rule, order))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25)
@given(data=st.data())
def test_equal_models_give_that_model(rule: str, data: st.DataObject) -> None:
    case = data.draw(cases(rule))
    equal = [replace(one, kind="weights", arrays=case.base, omitted=frozenset()) for one in case.sent]
    result = folded(replace(case, sent=equal), rule)
    assert all(np.array_equal(result[name], array) for name, array in case.base.items())


@pytest.mark.parametrize("rule", BETWEEN)
@settings(max_examples=25)
@given(case=cases())
def test_the_result_lies_between_the_sites(rule: str, case: Case) -> None:
    result = folded(case, rule)
    for name, dtype, _ in case.schema:
        senders = case.senders(name)
        if kind_of(dtype) is Kind.FLOAT and senders:
            values = np.array([one.values(name, dtype, case.base) for one in senders])
            # Rounding keeps order, so the bounds may be rounded as the result is; a mean may miss by one last bit.
            slack = 2**-51 * np.abs(values).max(axis=0, initial=0.0) if rule == "mean" else 0.0
            low, high = (
                to_float64(from_float64(np.asarray(bound), dtype), dtype)
                for bound in (values.min(axis=0) - slack, values.max(axis=0) + slack)
            )
            found = to_float64(result[name], dtype)
            assert (low <= found).all() and (found <= high).all()


@pytest.mark.parametrize("rule", BETWEEN)
@settings(max_examples=25)
@given(case=cases())
def test_differences_and_weights_say_the_same(rule: str, case: Case) -> None:
    as_weights = [replace(one, kind="weights") for one in case.sent]
    as_differences = [replace(one, kind="diff", arrays=minus(one.arrays, case)) for one in case.sent]
    full = folded(replace(case, sent=as_weights), rule)
    moved = folded(replace(case, sent=as_differences), rule)
    for name, dtype, _ in case.schema:
        if kind_of(dtype) is not Kind.FLOAT:
            assert bits(full)[name] == bits(moved)[name]
            continue
        one, other = to_float64(full[name], dtype), to_float64(moved[name], dtype)
        assert np.allclose(one, other, rtol=2 * STEP[dtype], atol=20 * STEP[dtype])


def minus(arrays: Mapping[str, Array], case: Case) -> dict[str, Array]:
    """The differences of ``arrays`` to the base, each in its dtype; bools as they are."""
    found: dict[str, Array] = {}
    for name, dtype, _ in case.schema:
        match kind_of(dtype):
            case Kind.FLOAT:
                found[name] = from_float64(
                    np.asarray(to_float64(arrays[name], dtype) - to_float64(case.base[name], dtype)), dtype
                )
            case Kind.INTEGER:
                found[name] = np.asarray(np.subtract(arrays[name], case.base[name]))
            case Kind.BOOL:
                found[name] = arrays[name]
    return found
