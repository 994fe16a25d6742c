"""docs/benchmarks.md and the README's figures say what the files of results say, no more and no less."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks import compare, pages
from benchmarks.bars import BARS, Figures, Measured

MACHINE = {"processor": "A chip", "cores": 2, "memory_gb": 23.5, "kernel": "6.1", "python": "3.11.7"}


def run(case: str, system: str, seconds: float, server: float, tuning: str = "default") -> dict[str, Any]:
    return {
        "case": case, "system": system, "tuning": tuning, "seconds_per_round": seconds, "server_peak_mb": server,
        "client_peak_mb": 70.0, "correct": True, "training": ["trainer"], "server_consists_of": {"server": server},
        "client_consists_of": {"client": 70.0, "trainer": 90.0}, "settings": {"TLS": "yes"}, "versions": {system: "1"},
    }  # fmt: skip


RUNS = [
    *(run("1x8", "rondo", seconds, 100.0) for seconds in (0.1, 0.2, 0.1)),
    run("1x8", "nvflare", 4.0, 200.0),
    run("1x8", "nvflare", 1.5, 190.0, "best"),
    run("1x8", "flower", 15.0, 300.0),
    run("1x8", "flower", 14.0, 300.0, "best"),
    run("2048x2", "rondo", 9.0, 120.0),
]
BESIDE = {"begun": "2026-01-01 00:00", "machine": MACHINE, "runs": RUNS}
GROWN = {
    "begun": "2026-01-01 00:00",
    "machine": MACHINE,
    "runs": [run("64x2", "rondo", 1, 130), run("2048x8", "rondo", 30, 140)],
}
ALONE = {
    "results": {
        "round": [{"case": "0.001x4", "seconds_per_round": 0.04}, {"case": "0.001x4", "seconds_per_round": 0.02}],
        "recovery": [{"median_seconds": 0.61}],
        "submit": [{"median": 0.7}],
        "ask": [{"median_ms": 31.4}],
        "micro": [{"name": "spool", "median_ms": 50.0, "gib_per_second": 2.5}],
        "fold": [
            {"rule": "mean", "sites": 8, "model_mib": 64.0, "gib_per_second": 2.5, "gib_per_second_wall": 4.0}
            | {"threads": 2, "worker_peak_mib": 70.0}
        ],
        "transfer": [{"layer": "checked", "share": 0.55, "mib_per_second": 512}],
        "flat": [{"rounds": 1000, "growth": {"server_anon": 0.4, "server": 9.0, "ledger_kib": 900.0}}],
        "idle": [
            {"clients": 2000, "kb_each": 90.0, "check_status_ms": {"server": {"p99": 20.0}, "client": {"p99": 300}}}
        ],
    }
}


def measured() -> dict[str, Measured]:
    found = pages.figures(BESIDE, GROWN, ALONE)
    return {bar.key: one for bar in BARS if (one := bar.measure(found)) is not None}


@pytest.mark.parametrize(
    ("key", "text", "verdict"),
    [
        ("1x8", "40.0 / 15.0 times", "yes"),
        ("2048x2", "9.0 s a round, right", "yes"),
        ("empty", "20 ms", "yes"),
        ("line", "55 % (0.50 GiB/s)", "**no**"),
        ("server", "140 MB, +8 %", "stretch"),
        ("client", "70 MB", "stretch"),
        ("aggregation", "2.5 GiB/s", "yes"),
        ("idle", "2000 at 90 KB, p99 300 ms", "**no**"),
        ("submit", "0.70 s", "yes"),
        ("ask", "31 ms", "yes"),
        ("flat", "+0.4 % after 1000 rounds", "stretch"),
    ],
)
def test_a_bar_says_what_was_measured(key: str, text: str, verdict: str) -> None:
    one = measured()[key]
    assert (one.text, one.verdict) == (text, verdict)


def test_what_was_not_measured_is_not_said() -> None:
    assert "64x4" not in measured() and "beside" not in measured()
    assert all(bar.measure(Figures()) is None for bar in BARS)
    page = pages.page({}, {}, {})
    assert page.count("not measured yet") == len(BARS)
    assert pages.figures_of_readme(Figures()) == ""


def test_the_page_shows_bars_rows_roles_and_settings() -> None:
    page = pages.page(BESIDE, GROWN, ALONE)
    assert "| NVFlare, best tuning | 1 | 1.5 | 15 | 190 | 1.9 | 70 | yes |" in page
    assert "| Rondo | server 100 | client 70 | trainer 90 |" in page
    assert "- **Flower**: flower 1; TLS: yes" in page
    assert "A chip, 2 cores, 24 GB of memory" in page
    assert re.search(r"Missed, and why\n\n- \*bytes a second .*\n- \*idle clients", page)


def test_the_figures_of_the_readme_are_those_of_the_files() -> None:
    found = pages.figures(BESIDE, GROWN, ALONE)
    text = pages.readme(f"# A\n{pages.BEGIN}old\n{pages.END}\n# B\n", found)
    assert "| seconds a round, 1 MB x 8 clients | **0.1** | 4 | 1.5 | 15 |" in text
    assert "| **0.61 s** |" in text and "old" not in text
    assert text.startswith("# A\n") and text.endswith("\n# B\n")
    assert pages.readme(text, found) == text


def test_a_readme_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="has no"):
        pages.readme("# A\n", Figures())


def test_pages_of_this_repository_are_up_to_date() -> None:
    for path, text in pages.wanted().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make bench-pages`"


def test_failed_runs_do_not_break_the_page() -> None:
    failed = {"case": "1x8", "contender": "flower-best", "failed": "flower 1x8: the memory guard killed\nlog"}
    page = pages.page({**BESIDE, "runs": [*RUNS[:-2], failed]}, GROWN, ALONE)
    assert "the memory guard killed" in page and compare.contender(failed) == "flower-best"
