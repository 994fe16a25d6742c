"""The story of one measurement: what `python -m benchmarks.round` says of Rondo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peaks import arguments, descendants

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


def test_a_measurement_that_is_stopped_takes_everything_along() -> None:
    asked = ["--model-mb", "0.001", "--clients", "2", "--rounds", "1000000"]
    command = [sys.executable, "-m", "benchmarks.round", *asked]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as measuring:
        deadline = time.monotonic() + 60
        while not any("fold" in arguments(pid) for pid in descendants(measuring.pid)):
            assert measuring.poll() is None and time.monotonic() < deadline
            os.sched_yield()
        started = list(descendants(measuring.pid))
        measuring.terminate()
        measuring.wait()
    assert len(started) >= 4  # a server, two clients, a worker
    left = [pid for pid in started if "rondo" in " ".join(arguments(pid))]
    assert left == []
