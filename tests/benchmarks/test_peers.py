"""The session that compares: what is run, in which order, and what is left after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import peers

CASES = ("1x8", "2048x2")


def test_all_contenders_take_turns() -> None:
    planned = peers.plan(CASES, peers.CONTENDERS, 2)
    turns = [(one.case, one.contender) for one in planned]
    once = [*(("1x8", name) for name in peers.CONTENDERS), ("2048x2", "rondo")]
    assert turns == once + once


def test_an_interrupted_session_runs_what_is_missing() -> None:
    planned = peers.plan(("1x8",), ("rondo", "nvflare-best"), 2)
    done = [
        {"case": "1x8", "system": "rondo", "tuning": "default"},
        {"case": "1x8", "contender": "nvflare-best", "failed": "killed"},
        {"case": "1x8", "system": "nvflare", "tuning": "default"},
    ]
    assert [one.contender for one in peers.missing(planned, done)] == ["rondo", "nvflare-best"]
    assert list(peers.missing(planned, done + done)) == []


def test_figures_of_other_code_are_not_gone_on_with(tmp_path: Path) -> None:
    results = tmp_path / "peers.json"
    held = peers.session(results, go_on=False)
    results.write_text(json.dumps({**held, "runs": [{"case": "1x8"}]}))
    assert len(peers.session(results, go_on=False)["runs"]) == 1
    results.write_text(json.dumps({**held, "source": "other", "runs": [{"case": "1x8"}]}))
    assert peers.session(results, go_on=False)["runs"] == []
    assert len(peers.session(results, go_on=True)["runs"]) == 1


def test_a_run_is_a_command_that_anybody_can_type() -> None:
    command = peers.Planned("64x4", "nvflare-best", 5).command()
    asked = "--system nvflare --model-mb 64 --clients 4 --rounds 5 --tuning best --seconds"
    assert " ".join(command[1:-1]) == f"-m benchmarks.round {asked}"


def test_the_default_session_fits_into_an_hour() -> None:
    planned = peers.plan(peers.ROUNDS, peers.CONTENDERS, 3)
    assert sum(one.estimate for one in planned) < 3600
