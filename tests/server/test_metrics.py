"""Scalars of the clients: averaged by samples, and a file that can be written anew from the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.ledger.rounds import Contribution
from rondo.server.metrics import FILE, append_metrics, average, write_metrics
from tests.ledger.rows import contribution

KEY = (1, 0, "train")


def sent(client: str, samples: float, metrics: dict[str, float], key: tuple[int, int, str] = KEY) -> Contribution:
    return contribution(key, client, samples=samples, metrics=metrics, local_metrics={"loss": 1.0})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_metrics_are_averaged_by_samples() -> None:
    updates = [sent("a", 10, {"auc": 0.5}), sent("b", 30, {"auc": 0.9})]
    assert average(updates) == {"auc": pytest.approx(0.8)}


def test_a_metric_is_averaged_over_those_who_sent_it() -> None:
    updates = [sent("a", 10, {"auc": 0.5, "f1": 1.0}), sent("b", 30, {"auc": 0.9}), sent("c", 5, {})]
    assert average(updates) == {"auc": pytest.approx(0.8), "f1": 1.0}
    assert average([]) == {} and average([sent("c", 5, {})]) == {}


VALUES = st.floats(-1e6, 1e6)


@given(values=st.lists(st.tuples(st.floats(0.001, 1e6), VALUES), min_size=1, max_size=8))
def test_an_average_lies_among_what_was_sent_and_is_the_same_every_time(values: list[tuple[float, float]]) -> None:
    updates = [sent(str(number), samples, {"m": value}) for number, (samples, value) in enumerate(values)]
    found = average(updates)["m"]
    low, high = min(value for _, value in values), max(value for _, value in values)
    assert low - 1e-9 * abs(low) - 1e-12 <= found <= high + 1e-9 * abs(high) + 1e-12
    assert average(updates)["m"] == found


def test_a_round_is_a_line_a_client_and_one_of_the_averages(tmp_path: Path) -> None:
    append_metrics(tmp_path, [sent("a", 10, {"auc": 0.5}), sent("b", 10, {"auc": 0.7})])
    first, second, mean = lines(tmp_path)
    assert first == {
        "run": 1, "round": 0, "task": "train", "client": "a", "samples": 10.0, "metrics": {"auc": 0.5},
        "local_metrics": {"loss": 1.0},
    }  # fmt: skip
    assert (second["client"], second["metrics"]) == ("b", {"auc": 0.7})
    assert mean == {"run": 1, "round": 0, "task": "train", "client": "", "metrics": {"auc": pytest.approx(0.6)}}


def test_rounds_are_added_at_the_end_and_an_empty_one_adds_nothing(tmp_path: Path) -> None:
    append_metrics(tmp_path, [sent("a", 10, {})])
    append_metrics(tmp_path, [])
    append_metrics(tmp_path, [sent("a", 10, {}, (1, 1, "train"))])
    assert [line["round"] for line in lines(tmp_path)] == [0, 0, 1, 1]


def test_written_anew_it_is_what_it_had_grown_to(tmp_path: Path) -> None:
    """Also where runs share a number, and so the folder: the last round of one may be like the first of the next."""
    rounds = [
        [sent("a", 10, {"auc": 0.1}, key), sent("b", 20, {"auc": 0.4}, key)]
        for key in ((1, 0, "train"), (1, 1, "validate"), (2, 0, "train"), (3, 0, "train"))
    ]
    for updates in rounds:
        append_metrics(tmp_path, updates)
    grown = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(grown[: len(grown) // 2])  # killed while it wrote
    write_metrics(tmp_path, [update for updates in rounds for update in updates])
    assert (tmp_path / FILE).read_bytes() == grown


def test_a_run_without_rounds_has_an_empty_file(tmp_path: Path) -> None:
    write_metrics(tmp_path / "run_1", [])
    assert lines(tmp_path / "run_1") == []
