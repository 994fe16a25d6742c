"""What goes of a client's workspace and what stays, for one client and for several who share it."""

from __future__ import annotations

import fcntl
import logging
from pathlib import Path

import pytest

from rondo.base.spare import SPARE
from rondo.client.seat import take_seat
from rondo.client.sweeping import keep_only, sweep_at_log_in, sweep_idle

KEPT = [
    "run_1/mmar_a/job.toml", "run_1/.mmar_a.digest", "run_1/a.log", "run_1/a.log.1", "run_1/work_a/best.pt",
    "run_1/notes.new", "log.jsonl", "cache/a_1/model", "startup/fed_client.json",
]  # fmt: skip


def put(workspace: Path, *names: str) -> set[str]:
    for name in names:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(name)
    return set(names)


def files(workspace: Path) -> set[str]:
    found = (path for path in workspace.rglob("*") if path.is_file() and path.parent.name != "seats")
    return {str(path.relative_to(workspace)) for path in found}


def test_after_a_kill_what_was_half_made_goes_and_what_can_be_gone_on_with_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with take_seat(tmp_path) as first, take_seat(tmp_path) as second:
        first.remember("a", "token")
        second.remember("a_1", "token")  # another client from the same kit, at work
        stays = put(tmp_path, *KEPT, "cache/a/0123", "cache/a/4567.part", "cache/a/packages/89ab.part")
        stays |= put(
            tmp_path, "run_1/.mmar_a_1.new/job.toml", "run_1/..mmar_a_1.new.xyz.part/job.toml", ".run_3.a_1.gone/x"
        )
        put(
            tmp_path, "cache/a/a.update", "cache/a/a.filtered", "cache/a/.a.update.17.part", f"cache/a/{SPARE}",
            "cache/a/made/a.update", "cache/a/made/tmp/x",
            "run_1/.mmar_a.new/job.toml", "run_2/..mmar_a.new.x_1.part/job.toml", "run_2/..mmar_a.digest.17.part",
            "cache/a_2/0123", "run_2/.mmar_a_2.new/job.toml",
            ".run_3.a.gone/job.toml", ".run_3.a_2.gone/x",  # of a client that there is no more
        )  # fmt: skip
        with caplog.at_level(logging.INFO):
            sweep_at_log_in(tmp_path, "a")
        assert files(tmp_path) == stays
    assert "left behind, swept: cache/a_2 (14 B)" in caplog.text


def test_who_takes_part_in_no_run_keeps_nothing_of_runs_but_what_is_the_sites(tmp_path: Path) -> None:
    stays = put(tmp_path, *KEPT, "run_2/a_1.lost-2-0")
    put(tmp_path, "cache/a/0123", "cache/a/4567.part", "cache/a/packages/89ab", "run_1/a.lost-1-5")
    (tmp_path / "run_2" / "work_a").mkdir(parents=True)
    sweep_idle(tmp_path, "a")
    assert files(tmp_path) == stays
    assert not (tmp_path / "run_2" / "work_a").exists() and not (tmp_path / "cache" / "a").exists()
    sweep_idle(tmp_path, "a")  # nothing is there any more


def test_of_the_files_of_rounds_only_the_model_of_this_one_is_kept(tmp_path: Path) -> None:
    put(tmp_path, "new", "old", "older.part", "a.update", "a.filtered", "packages/job")
    put(tmp_path, "fetched.part")
    with (tmp_path / "fetched.part").open("rb") as fetching:
        fcntl.flock(fetching, fcntl.LOCK_EX)
        keep_only(tmp_path / "new")
    assert files(tmp_path) == {"new", SPARE, "packages/job", "fetched.part"}
    keep_only(tmp_path / "new")
    assert files(tmp_path) == {"new", SPARE, "packages/job"}
