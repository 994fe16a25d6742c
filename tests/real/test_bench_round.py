"""The story of one measurement: what `python -m benchmarks.round` says of Rondo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_line_of_json_says_what_two_rounds_cost() -> None:
    asked = ["--system", "rondo", "--model-mb", "0.001", "--clients", "2", "--rounds", "2"]
    out = subprocess.check_output([sys.executable, "-m", "benchmarks.round", *asked], cwd=ROOT, text=True)
    found = json.loads(out)
    assert found["correct"] is True and found["case"] == "0.001x2"
    assert len(found["round_seconds"]) == 2 and found["seconds_per_round"] == found["round_seconds"][1]
    assert set(found["server_consists_of"]) == {"server", "worker of the first model", "aggregation worker"}
    assert found["server_peak_mb"] > 20 and found["client_peak_mb"] > 20
    assert found["bytes_moved"] == 2 * 2 * 2 * 20 * 12 * 4  # both ways, clients, rounds, arrays, elements, bytes
