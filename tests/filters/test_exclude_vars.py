from __future__ import annotations

import numpy as np
import pytest

from rondo.base.errors import BadInput
from tests.filters.outgoing import applied, built, outgoing

UPDATE = outgoing({"conv.weight": [1.0], "conv.bias": [2.0], "head.weight": [3.0]})


@pytest.mark.parametrize(
    ("vars", "left"),
    [
        (["conv.bias"], ["conv.weight", "head.weight"]),
        ("bias", ["conv.weight", "head.weight"]),
        ("^conv", ["head.weight"]),
        ("dummy", ["conv.weight", "conv.bias", "head.weight"]),
        (".", []),
    ],
)
def test_named_tensors_stay_at_home(vars: object, left: list[str]) -> None:
    assert list(applied("exclude_vars", UPDATE, vars=vars)) == left
    after = built("exclude_vars", vars=vars).apply(UPDATE, np.random.default_rng(0))
    assert after.omitted == UPDATE.dtypes.keys() - set(left) and list(after.dtypes) == left


def test_what_already_stays_may_be_named_again() -> None:
    less = UPDATE.without(["conv.bias"])
    assert list(applied("exclude_vars", less, vars=["conv.bias"])) == ["conv.weight", "head.weight"]


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"no tensor 'conv.biass'.*did you mean 'conv.bias'"):
        applied("exclude_vars", UPDATE, vars=["conv.biass"])


@pytest.mark.parametrize("options", [{}, {"vars": []}, {"vars": ""}, {"vars": "("}, {"vars": 1}, {"vars": [1]}])
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="filter exclude_vars: "):
        built("exclude_vars", **options)
