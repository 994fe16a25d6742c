"""Medians and ratios: numbers that one can check by hand."""

from __future__ import annotations

from typing import Any

from benchmarks import compare


def line(case: str, system: str, seconds: float, server: float, tuning: str = "default", **more: Any) -> dict[str, Any]:
    figures = {"seconds_per_round": seconds, "server_peak_mb": server, "client_peak_mb": 50.0, "correct": True}
    return {"case": case, "system": system, "tuning": tuning, **figures, **more}


def test_a_row_has_the_medians_of_its_runs_and_their_ratios_to_rondo() -> None:
    records = [line("64x4", "rondo", seconds, 100.0) for seconds in (0.5, 9.0, 0.4)]
    records += [line("64x4", "nvflare", seconds, server) for seconds, server in ((4.0, 900), (5.0, 1000), (6.0, 1100))]
    rondo, nvflare = compare.rows(records)
    assert (rondo.contender, rondo.runs, rondo.seconds, rondo.times) == ("rondo", 3, 0.5, 1.0)
    assert (nvflare.seconds, nvflare.times, nvflare.server_mb, nvflare.memory_times) == (5.0, 10.0, 1000.0, 10.0)


def test_cases_come_by_size_and_rondo_first() -> None:
    records = [
        line(case, system, 1, 1) for system in ("flower", "nvflare", "rondo") for case in ("512x2", "64x4", "1x8")
    ]
    order = [(row.case, row.contender) for row in compare.rows(records)]
    assert order[:3] == [("1x8", "rondo"), ("1x8", "flower"), ("1x8", "nvflare")]
    assert [case for case, name in order if name == "rondo"] == ["1x8", "64x4", "512x2"]


def test_one_wrong_model_makes_the_row_wrong() -> None:
    records = [line("1x8", "rondo", 1, 1), line("1x8", "rondo", 1, 1, correct=False)]
    assert [row.correct for row in compare.rows(records)] == [False]
    assert "NO" in compare.table(compare.rows(records))[1]


def test_the_fastest_of_the_others_is_of_the_contenders_asked_for() -> None:
    records = [line("1x8", "nvflare", 3, 1), line("1x8", "nvflare", 1, 1, "best"), line("1x8", "flower", 9, 1)]
    rows = compare.rows(records)
    default, best = (compare.fastest(rows, "1x8", names) for names in (("nvflare", "flower"), ("nvflare-best",)))
    assert default is not None and default.contender == "nvflare"
    assert best is not None and best.seconds == 1
    assert compare.fastest(rows, "64x4", ("nvflare",)) is None


def test_what_failed_has_a_row_that_says_so_and_no_figures() -> None:
    records = [line("1x8", "rondo", 1, 1), {"case": "1x8", "contender": "flower-best", "failed": "no memory\nlog"}]
    row = compare.rows(records)[1]
    assert (row.contender, row.failed, row.seconds) == ("flower-best", "no memory", 0.0)
    assert compare.fastest([row], "1x8", ("flower-best",)) is None


def test_a_run_that_failed_once_does_not_spoil_the_others() -> None:
    records = [line("1x8", "rondo", 1, 1), {"case": "1x8", "contender": "rondo", "failed": "killed"}]
    (row,) = compare.rows(records)
    assert (row.runs, row.seconds, row.failed) == (1, 1.0, "")
