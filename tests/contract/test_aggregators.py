"""What every rule of ``rondo.aggregate`` keeps to, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rondo.aggregate.folding import Memories, Way, fold
from rondo.aggregate.seam import Column, Contribution, Fold, Remembers, Rule, build_rule
from rondo.base.errors import BadInput
from rondo.base.rooms import names, pick
from rondo.tensors.files import TensorFile
from tests.tensors.models import model, save

RULES = names("rondo.aggregate")
SCHEMA = [("w", "F32", (5, 3)), ("b", "F64", (7,)), ("h", "BF16", (4,)), ("n", "I64", ()), ("e", "F32", (0,))]


def run(rule: Rule, values: np.ndarray, weights: list[float]) -> np.ndarray:
    """What ``rule`` makes of ``values`` (sites first)."""
    rows = list(values.copy())
    if isinstance(rule, Column):
        return rule.reduce(rows, weights)
    total = np.full(values.shape[1], np.nan)
    for place, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        rule.add(total, row, weight, not place)
    rule.finish(total, sum(weights))
    return total


def test_the_room_is_listed() -> None:
    assert {"mean", "median", "trimmed_mean", "krum", "fedopt"} <= set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_defaults_build_a_fold_or_a_column_that_names_its_source(name: str) -> None:
    rule = build_rule(name, {})
    assert isinstance(rule, Fold) != isinstance(rule, Column)
    assert "arXiv:" in (pick("rondo.aggregate", name).__doc__ or "")


@pytest.mark.parametrize("name", RULES)
def test_options_are_strict_and_frozen(name: str) -> None:
    with pytest.raises(BadInput, match=f"aggregator {name}: unknown key 'surely_not'"):
        build_rule(name, {"surely_not": 1})
    options = pick("rondo.aggregate", name).Options()
    for field in msgspec.structs.fields(options):
        with pytest.raises(AttributeError):
            setattr(options, field.name, None)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("sites", [1, 2, 3, 10])
def test_a_rule_is_pure_and_keeps_within_what_was_sent(name: str, sites: int) -> None:
    rng = np.random.default_rng(sites)
    values, weights = rng.normal(size=(sites, 40)), rng.uniform(1, 9, sites).tolist()
    rule = build_rule(name, {})
    result = run(rule, values, weights)
    assert result.shape == (40,) and result.dtype == np.float64
    assert np.array_equal(run(rule, values, weights), result)
    assert (values.min(axis=0) <= result + 1e-15).all() and (result <= values.max(axis=0) + 1e-15).all()
    if sites == 1:
        assert np.array_equal(result, values[0])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_works_place_by_place(name: str) -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(5, 30)), [1.0, 2.0, 3.0, 4.0, 5.0]
    rule = build_rule(name, {})
    parts = [run(rule, values[:, start : start + 7], weights) for start in range(0, 30, 7)]
    assert np.array_equal(np.concatenate(parts), run(rule, values, weights))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_folds_files(name: str, tmp_path: Path) -> None:
    base = save(tmp_path / "base", SCHEMA, model(SCHEMA, 0)).path
    sent = [
        Contribution(site, save(tmp_path / site, SCHEMA, model(SCHEMA, ord(site))).path, "weights", 1.0 + number)
        for number, site in enumerate("abcde")
    ]
    rule, kept = build_rule(name, {}), tmp_path / "kept"
    one = fold(base, sent, rule, tmp_path / "out", Memories(None, kept))
    other = fold(base, sent[::-1], rule, tmp_path / "again", Memories(None, tmp_path / "kept2"), Way(segment_bytes=12))
    assert one.model.digest == other.model.digest and one.weights == other.weights
    with TensorFile(one.model.path) as file:
        assert file.layout.schema() == tuple(sorted(SCHEMA))
    assert (one.memory is not None) == isinstance(rule, Remembers) == kept.exists()
    if one.memory is not None and other.memory is not None:
        assert one.memory.digest == other.memory.digest
        next_ = fold(one.model.path, sent, rule, tmp_path / "next", Memories(kept, tmp_path / "kept3"))
        assert next_.memory is not None and next_.memory.digest != one.memory.digest
