"""The figures are those of the run, and the page shows them and asks nobody for anything."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rondo.base.errors import NotFound
from rondo.simulator.charts import WIDTH, intervals, learning, spread
from rondo.simulator.figures import ALL, Auc, Point, Results, Row, area, learning_curve
from rondo.simulator.page import page
from rondo.simulator.report import POOLED, Training, baselines, evaluate, sites_of, versions, write_report
from rondo.simulator.thyroid import clinic
from rondo.simulator.words import at_home, headline, listed, outcome
from tests.simulator.conftest import Federation, federate

SITES = ["other", "SVI", "SVHC", "STMW"]


def test_training_together_is_clearly_better_than_alone_and_near_pooled(results: Results) -> None:
    together, last = results.row("best").aucs[ALL].value, results.row("last").aucs[ALL].value
    alone, pooled = results.row("mean").aucs[ALL].value, results.row("pooled").aucs[ALL].value
    assert together > 0.95 and last > 0.95
    assert min(together, last) > alone + 0.07
    assert min(together, last) > max(row.aucs[ALL].high for row in results.alone)
    assert abs(pooled - together) < 0.01


def test_the_figures_are_those_of_sklearn(results: Results, patients: Path, federation: Federation) -> None:
    ys, rated = [], []
    for site in SITES:
        records = clinic.read_records(patients / site / "test.npz")
        ys.append(records.y)
        rated.append(clinic.scores(federation.last, records.x))
        found = results.row("last").aucs[site]
        assert found.value == pytest.approx(roc_auc_score(ys[-1], rated[-1]), abs=1e-12)
        assert (found.patients, found.findings) == (len(records.y), records.y.sum())
    assert results.row("last").aucs[ALL].value == pytest.approx(
        roc_auc_score(np.concatenate(ys), np.concatenate(rated)), abs=1e-12
    )


def test_what_was_trained_is_what_was_asked_for(results: Results) -> None:
    assert [row.name for row in results.alone] == [f"{site} alone" for site in SITES]
    assert [row.kind for row in results.rows] == ["alone"] * 4 + ["mean", "last", "best", "pooled"]
    values = [row.aucs["SVI"].value for row in results.alone]
    assert results.row("mean").aucs["SVI"].value == pytest.approx(sum(values) / 4)
    assert results.columns == (*SITES, ALL)
    assert sum(c.train + c.validation + c.test for c in results.clinics) == 9098


def test_a_clinic_alone_depends_on_no_other_clinic(
    patients: Path, tmp_path: Path, training: Training, alone: Mapping[str, clinic.Model]
) -> None:
    shutil.copytree(patients / "STMW", tmp_path / "STMW")
    only = baselines(tmp_path, training)
    assert all(only["STMW"][name].tobytes() == alone["STMW"][name].tobytes() for name in only["STMW"])
    assert only.keys() == {"STMW", POOLED}


def test_comparisons_need_the_training_patients_only(patients: Path, tmp_path: Path, training: Training) -> None:
    for site in SITES:
        (tmp_path / site).mkdir()
        shutil.copy(patients / site / "train.npz", tmp_path / site)
    short = replace(training, rounds=1)
    first, again = baselines(tmp_path, short), baselines(patients, short)
    assert all(first[who][name].tobytes() == again[who][name].tobytes() for who in first for name in first[who])


def test_a_federation_gives_equal_bits_twice(patients: Path, training: Training) -> None:
    first, again = (federate(patients, replace(training, rounds=2)).last for _ in range(2))
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)


def test_no_records_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=re.escape(str(tmp_path))):
        sites_of(tmp_path)


def test_sites_are_listed_from_the_largest(patients: Path) -> None:
    assert sites_of(patients) == SITES


def test_an_untrained_model_is_a_coin(patients: Path) -> None:
    flat = {name: np.zeros_like(value) for name, value in clinic.new_model().items()}
    assert {auc.value for auc in evaluate(flat, patients).values()} == {0.5}


# ---- area and its interval


_RATED = st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=60)


@given(_RATED.filter(lambda rows: len({ill for ill, _ in rows}) == 2))
def test_the_interval_holds_the_area_and_stays_within_bounds(rows: list[tuple[bool, int]]) -> None:
    y, rated = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    auc = area(y, rated)
    assert auc.value == pytest.approx(roc_auc_score(y, rated), abs=1e-12)
    if 0.0 < auc.value < 1.0 and 1 < y.sum() < len(y) - 1:
        assert 0.0 <= auc.low <= auc.value + 1e-12 and auc.value - 1e-12 <= auc.high <= 1.0
    else:
        assert math.isnan(auc.low) and math.isnan(auc.high)


def test_the_interval_is_about_that_of_the_bootstrap(patients: Path, federation: Federation) -> None:
    records = clinic.read_records(patients / "SVHC" / "test.npz")
    rated = clinic.scores(federation.last, records.x)
    random, values = np.random.default_rng(1), []
    for _ in range(800):
        rows = random.integers(0, len(rated), len(rated))
        values.append(clinic.auc(records.y[rows], rated[rows]))
    found = area(records.y, rated)
    low, high = np.percentile(values, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


def test_what_has_no_area_says_so() -> None:
    auc = area(np.zeros(3), np.arange(3.0))
    assert math.isnan(auc.value) and math.isnan(auc.low) and (auc.patients, auc.findings) == (3, 0)


# ---- curve


def test_the_curve_shows_what_was_committed(federation: Federation) -> None:
    curve = learning_curve(federation.events)
    assert [point.version for point in curve] == list(range(16))
    assert all(point.sites.keys() == set(SITES) for point in curve)
    assert curve[federation.best_version].mean == max(point.mean for point in curve)
    assert curve[0].mean < 0.8 < 0.9 < curve[1].mean


def test_the_curve_leaves_out_what_was_not_committed_or_is_no_metric() -> None:
    events = [
        {"kind": "run_running", "data": {"round": 0, "rounds": 2}},
        {"kind": "update_accepted", "data": {"client": "a", "round": 0, "metrics": {"auc": 0.5}}},
        {"kind": "round_committed", "data": {"round": 0, "metrics": {"auc": 0.5}}},
        {"kind": "round_committed", "data": {"round": 1, "metrics": {}}},
        {"kind": "update_accepted", "data": {"client": "a", "round": 2, "metrics": {"auc": 0.9}}},
    ]
    assert learning_curve(events) == (Point(0, {"a": 0.5}, 0.5),)


# ---- pictures


@given(st.lists(st.floats(0, 300), max_size=9))
def test_labels_do_not_cover_each_other(wanted: list[float]) -> None:
    heights = spread(wanted, 15.0, (0.0, 300.0))
    assert all(0.0 - 1e-9 <= height <= 300.0 + 1e-9 for height in heights)
    placed = sorted(heights)
    assert all(below - above > 15.0 - 1e-6 for above, below in pairwise(placed))
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    assert [heights[place] for place in order] == placed


def test_every_mark_of_the_curve_is_on_the_paper(results: Results) -> None:
    drawing = learning(results.curve, SITES, results.run.best_version)
    points = [float(x) for path in re.findall(r'points="([^"]+)"', drawing) for x in re.split(r"[ ,]", path)]
    assert len(points) == 5 * 15 * 2
    assert all(0.0 <= point <= WIDTH for point in points)
    assert drawing.count('class="ring"') == 1


def test_too_few_points_make_no_picture() -> None:
    assert learning([Point(0, {}, 0.5), Point(1, {}, 0.6)], [], None) == ""
    assert "<svg" in learning([Point(version, {}, 0.5) for version in range(3)], [], None)


def test_a_model_without_a_figure_is_not_drawn() -> None:
    nothing = Auc(math.nan, math.nan, math.nan, 0, 0)
    rows = [Row("a", "alone", {ALL: nothing}), Row("b", "best", {ALL: Auc(0.9, 0.8, 0.95, 10, 5)})]
    drawing = intervals(rows)
    assert ">b</text>" in drawing and ">a</text>" not in drawing and "nan" not in drawing


# ---- the files


class Balance(HTMLParser):
    """Every element that is opened is closed, in order; and what elements and text there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(document: str) -> Balance:
    balance = Balance()
    balance.feed(document)
    balance.close()
    assert balance.open == []
    return balance


def test_the_report_is_two_files(results: Results, tmp_path: Path) -> None:
    html, numbers = write_report(tmp_path / "out", results)
    assert (html.name, numbers.name) == ("report.html", "report.json")
    assert sorted((tmp_path / "out").iterdir()) == [html, numbers]
    shown = " ".join(read(html.read_text(encoding="utf-8")).words)
    for row in results.rows:
        for auc in row.aucs.values():
            assert f"{auc.value:.3f}" in shown
    for needed in (results.run.last_digest, results.run.best_digest, "2026", *SITES, *versions().values()):
        assert needed in shown


def test_the_page_asks_for_nothing_and_runs_nothing(results: Results) -> None:
    document = page(results)
    assert not re.search(r"https?:|//|url\(|@import|src=|href=|javascript", document)
    assert not read(document).tags & {"script", "link", "img", "iframe", "object", "form"}
    assert "prefers-color-scheme: dark" in document and "@media print" in document


def test_what_others_wrote_is_shown_and_not_obeyed(results: Results) -> None:
    hostile = "<script>alert(1)</script>"
    clinics = tuple(replace(one, site=hostile) if one.site == "SVI" else one for one in results.clinics)
    rows = tuple(replace(row, name=hostile, aucs={**row.aucs, hostile: row.aucs["SVI"]}) for row in results.rows)
    curve = tuple(replace(point, sites={**point.sites, hostile: 0.9}) for point in results.curve)
    run = replace(results.run, job=hostile, seed=hostile, notes=(hostile,), last_digest=hostile)
    balance = read(page(replace(results, run=run, clinics=clinics, rows=rows, curve=curve)))
    assert "script" not in balance.tags
    assert " ".join(balance.words).count(hostile) > 10
    assert "The server was killed in round 3 & <went on>." in " ".join(read(page(results)).words)


def test_the_numbers_for_machines(results: Results, tmp_path: Path) -> None:
    _, path = write_report(tmp_path, results)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found) == ["format", "run", "versions", "clinics", "auc", "curve"]
    assert set(found["run"]) == {
        *("job", "number", "rounds", "seed", "started", "seconds"),
        *("last_digest", "best_digest", "best_version", "notes"),
    }
    assert [clinic["site"] for clinic in found["clinics"]] == SITES
    assert set(found["clinics"][0]) == {"site", "train", "validation", "test", "findings"}
    by_kind = {row["kind"]: row for row in found["auc"]}
    assert by_kind["best"]["on"]["all"]["value"] == results.row("best").aucs[ALL].value
    assert by_kind["mean"]["on"]["all"]["low"] is None
    assert set(by_kind["best"]["on"]["all"]) == {"value", "low", "high", "patients", "findings"}
    assert found["curve"][15]["sites"].keys() == set(SITES)


def test_a_run_without_a_curve_or_a_best_model_is_reported_all_the_same(results: Results) -> None:
    bare = replace(results, curve=(), run=replace(results.run, best_version=None, best_digest="", notes=()))
    document = page(bare)
    read(document)
    assert "How the model learned" not in document


# ---- words


def _told(results: Results, best: float, pooled: float) -> str:
    """What is said where the federated and the pooled model had reached these."""
    reached = {"best": best, "pooled": pooled}
    rows = tuple(
        replace(row, aucs={**row.aucs, ALL: replace(row.aucs[ALL], value=reached[row.kind])})
        if row.kind in reached
        else row
        for row in results.rows
    )
    return outcome(replace(results, rows=rows))


def test_the_words_follow_the_figures(results: Results) -> None:
    alone = results.row("mean").aucs[ALL].value
    assert "did not help" in _told(results, alone - 0.01, 0.96)
    assert "no better: 0.950" in _told(results, 0.955, 0.95)
    assert "went 50% of the way" in _told(results, alone + 0.03, alone + 0.06)
    assert f"{results.row('best').aucs[ALL].value:.3f}" in headline(results)
    assert f"{alone:.3f}" in headline(results)


def test_where_a_clinic_loses_it_is_said(results: Results) -> None:
    text = at_home(results)
    better, _, worse = text.partition("the clinic’s own does better at")
    for one, row in zip(results.clinics, results.alone, strict=True):
        lost = row.aucs[one.site].value > results.row("best").aucs[one.site].value
        assert f"“{one.site}”" in (worse if lost else better)


def test_lists_are_read_aloud() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
