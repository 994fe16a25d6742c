"""``validate``: the matrix in Clara's form, as a table, as CSV, and as a picture."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest

from rondo.base.errors import BadInput, Conflict, NotFound, RondoError
from rondo.cli.heatmap import table as heat
from rondo.commands.rows import facts
from rondo.commands.validate import as_csv
from tests.commands.desks import MemoryDesk, table, texts, typed

WHY = 'did not answer, "within" 3 s'


def entry(site: str, model: str, metrics: dict[str, float] | None = None, why: str = "") -> dict[str, Any]:
    return {"site": site, "model": model, "samples": 2.0 if metrics else 0.0, "metrics": metrics, "why": why}


MATRIX = [
    entry("a", "a", {"val_acc": 0.5, "auc": 0.25}),
    entry("a", "best_FL_global_model", {"val_acc": 1.0, "auc": 0.75}),
    entry("b", "a", why=WHY),
    entry("b", "best_FL_global_model", {"val_acc": 0.75, "auc": 0.5}),
]


@pytest.fixture
def desk() -> MemoryDesk:
    made = MemoryDesk(matrix=list(MATRIX))
    made.add_run("finished")
    return made


def test_all_of_it(desk: MemoryDesk) -> None:
    rows = typed(desk, "validate all")
    found = ast.literal_eval(texts(rows)[0])
    assert found == facts(rows)["results"] and list(found) == ["a", "b"]
    assert found["a"]["a"] == {"validation": {"auc": 0.25, "val_acc": 0.5}} and found["b"]["a"] == {}
    assert texts(rows)[1:] == [f"empty: model a on the data of b: {WHY}"]
    assert table(rows).rows[1:3] == [
        ["a", "best_FL_global_model", "2", "auc=0.7500 val_acc=1.0000"], ["b", "a", "", ""],
    ]  # fmt: skip


def test_one_entry_is_named_by_site_and_then_model(desk: MemoryDesk) -> None:
    rows = typed(desk, "validate b best_FL_global_model --run 1")
    assert facts(rows)["results"] == {"b": {"best_FL_global_model": {"validation": {"auc": 0.5, "val_acc": 0.75}}}}


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("validate", BadInput, "missing site"),
        ("validate a", BadInput, "missing model"),
        ("validate all a", BadInput, "too many arguments"),
        ("validate c a", NotFound, "no site 'c'"),
        ("validate a b", NotFound, "no model 'b'"),
        ("validate all --run 2", NotFound, "there is no run 2"),
        ("validate all --run x", BadInput, "usage: validate SITE"),
    ],
)
def test_what_is_not_there_is_said(desk: MemoryDesk, line: str, kind: type[RondoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        typed(desk, line)


def test_without_results_it_says_what_it_takes() -> None:
    with pytest.raises(Conflict, match="no run yet"):
        typed(MemoryDesk(), "validate all")
    desk = MemoryDesk()
    desk.add_run("running")
    with pytest.raises(Conflict, match=r"run 1 has no cross-site validation .*cross_validate and is_participating"):
        typed(desk, "validate all")


def test_the_csv_has_a_line_for_each_value_and_each_empty_entry() -> None:
    lines = as_csv(MATRIX[1:3]).splitlines()
    assert lines == [
        "site,model,samples,metric,value,why_empty",
        "a,best_FL_global_model,2,auc,0.75,",
        "a,best_FL_global_model,2,val_acc,1.0,",
        'b,a,,,,"did not answer, ""within"" 3 s"',
    ]


def test_the_picture_shows_one_metric_and_where_it_is_empty() -> None:
    sites, models, name, values = heat(MATRIX, "val_acc")
    assert (sites, models, name) == (["a", "b"], ["a", "best_FL_global_model"], "val_acc")
    assert values[0] == [0.5, 1.0] and math.isnan(values[1][0]) and values[1][1] == 0.75
    assert heat(MATRIX, "")[2] == "auc"
    with pytest.raises(BadInput, match=r"no value of f1 .*known: auc, val_acc"):
        heat(MATRIX, "f1")
    with pytest.raises(BadInput, match="every entry is empty"):
        heat([MATRIX[2]], "")
