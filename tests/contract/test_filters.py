"""What every filter of ``rondo.filters`` keeps to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.base.rooms import names, pick
from rondo.filters.chain import UpdateFile, check_filters, run_chain
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import Spec
from tests.filters.outgoing import built, outgoing
from tests.tensors.models import model, save

FILTERS = names("rondo.filters")

# Options that a filter cannot do without.
REQUIRED: dict[str, Mapping[str, Any]] = {"exclude_vars": {"vars": "^w"}}

SCHEMA: list[Spec] = [("w", "F32", (5, 3)), ("b", "F64", (7,)), ("s", "F32", ()), ("n", "I64", ()), ("e", "F32", (0,))]
SCHEMAS = [SCHEMA, [], SCHEMA[3:]]


def options(name: str) -> Mapping[str, Any]:
    return REQUIRED.get(name, {})


def test_the_room_is_listed() -> None:
    assert {"exclude_vars", "percentile", "svt"} <= set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_options_are_strict_and_frozen(name: str) -> None:
    with pytest.raises(BadInput, match=f"filter {name}: unknown key 'surely_not'"):
        check_filters([(name, {**options(name), "surely_not": 1})])
    check_filters([(name, options(name))])
    built = decode(pick("rondo.filters", name).Options, options(name), name)
    for field in msgspec.structs.fields(built):
        with pytest.raises(AttributeError):
            setattr(built, field.name, None)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("steps", [0.0, 12.0])
def test_a_filter_gives_a_whole_update_and_the_same_one_again(
    name: str, schema: list[Spec], steps: float, tmp_path: Path
) -> None:
    base = save(tmp_path / "base", schema, model(schema, 1)).path
    update = UpdateFile(save(tmp_path / "update", schema, model(schema, 2)).path, "weights", steps=steps)
    one, again = (run_chain(base, update, [(name, options(name))], 3, tmp_path / out) for out in ("first", "second"))
    assert one.file.digest == again.file.digest
    with TensorFile(one.file.path) as file, TensorFile(base) as before:
        assert set(file) | one.omitted == set(before)
        assert not set(file) & one.omitted
        assert all(file.layout.by_name[key].spec == before.layout.by_name[key].spec for key in file)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_changes_what_leaves(name: str, tmp_path: Path) -> None:
    """A filter whose options are accepted is never a filter that does nothing."""
    base = save(tmp_path / "base", SCHEMA, model(SCHEMA, 1)).path
    update = UpdateFile(save(tmp_path / "update", SCHEMA, model(SCHEMA, 2)).path, "weights")
    plain = run_chain(base, update, [], 3, tmp_path / "plain")
    filtered = run_chain(base, update, [(name, options(name))], 3, tmp_path / "filtered")
    assert plain.file.digest != filtered.file.digest


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_its_input_as_it_was(name: str) -> None:
    values = np.linspace(-1, 1, 11)
    update = outgoing({"w": values, "v": values, "n": np.array([3])}, n="I64")
    kept = {key: array.copy() for key, array in update.tensors.items()}
    dict(built(name, **options(name)).apply(update, np.random.default_rng(0)).tensors)
    assert all(np.array_equal(update.tensors[key], kept[key]) for key in kept)
