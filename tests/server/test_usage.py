"""``rondo server du``: every file of the workspace is counted once, under the run and the purpose it has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rondo.base.errors import LedgerBusy, NotFound
from rondo.ledger import models, runs
from rondo.ledger.runs import Package
from rondo.server.usage import usage
from rondo.wire import rondo_pb2 as pb
from tests.ledger.rows import add_run
from tests.server.yard import NOW, Yard, open_yard


async def furnish(yard: Yard) -> None:
    """Two runs, files of every purpose, and two leftovers."""
    package = yard.blob("package")
    run = await yard.store.do(add_run, number=7, package=package.digest)
    older = await yard.store.do(add_run, "finished", number=3, package=package.digest)
    await yard.store.do(runs.stage, Package("job", package.digest, package.size, "lead", 1.0))
    for of, version in ((run, 0), (run, 1), (older, 5)):
        model = yard.blob(f"version {version} of {of}")
        await yard.store.do(models.add, models.Model(of, version, model.digest, model.size, True, {}, {}, 1.0))
    yard.put("run_7/mmar_server/models/x")
    os.link(model.path, yard.store.folder / "run_7/mmar_server/models/FL_global_model.safetensors")
    await yard.counted(run, 0, "a")
    part = yard.spooled("lead", "the next job", ".part")
    await yard.offered("lead", part, package=pb.Package(name="next"))
    yard.put(f"spool/.folded-{run}", b"1234")
    yard.spooled("b", "nobody's", ".part")
    yard.blob("no row")
    for name in ("run_7/server_worker.log", "run_7/server_worker.log.1", "run_7/metrics.jsonl", "run_7/mmar_a/job.toml",
                 "run_3/updates/round_2/a.safetensors", "transfer/job/job.toml", "transfer/.job.digest", "log.jsonl.1",
                 "startup/fed_server.json", "notes.txt"):  # fmt: skip
        yard.put(name)


async def test_every_file_is_counted_once_under_its_purpose(tmp_path: Path) -> None:
    async with open_yard(tmp_path / "w") as yard:
        await furnish(yard)
        found = usage(yard.store.folder, "", NOW)
        counted = [(line.run, line.what, line.files) for line in found.lines]
        assert counted == [
            (3, "kept updates", 1), (3, "models", 1),
            (7, "job and results", 2), (7, "logs and metrics", 3), (7, "models", 2), (7, "models being made", 1),
            (7, "spooled updates", 1),
            (0, "ledger", 3), (0, "logs", 1), (0, "other files", 2), (0, "packages", 3), (0, "start-up kit", 1),
            (0, "uploads under way", 1), (0, "left behind", 2),
        ]  # fmt: skip
        assert sorted((one.kind, one.size) for one in found.leftovers) == [
            ("models and packages that no run refers to", len("no row")),
            ("updates and uploads of rounds that are over", len("nobody's")),
        ]
        inodes = {path.stat().st_ino: path.stat().st_size for path in yard.store.folder.rglob("*") if path.is_file()}
        assert sum(line.files for line in found.lines) == len(inodes)
        assert sum(line.bytes for line in found.lines) == sum(inodes.values())
        assert found.free > 0


async def test_it_writes_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    async with open_yard(tmp_path / "w") as yard:
        await furnish(yard)

        def look_meanwhile(tx: object) -> None:  # while a transaction holds the ledger
            usage(yard.store.folder, "", NOW)

        await yard.store.read(look_meanwhile)
        before = yard.files()
        usage(yard.store.folder, "", NOW)
        assert yard.files() == before
    folder = tmp_path / "w"
    seen = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert len(usage(folder, "", NOW).leftovers) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == seen
    assert not list(folder.glob("ledger.db-*")), (
        "the server is stopped, and nobody took its ledger for more than a look"
    )


async def test_after_a_kill_what_the_ledger_has_not_taken_over_yet_is_seen(tmp_path: Path) -> None:
    async with open_yard(tmp_path / "w") as yard:
        await furnish(yard)
        shutil.copytree(tmp_path / "w", tmp_path / "killed")  # with its write-ahead log, as kill -9 leaves it
    assert (tmp_path / "killed" / "ledger.db-wal").stat().st_size
    assert len(usage(tmp_path / "killed", "", NOW).lines) == 14


def test_where_no_server_ever_ran_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no ledger here"):
        usage(tmp_path, "", NOW)
    (tmp_path / "ledger.db").write_text("no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(LedgerBusy, match="file is not a database"):
        usage(tmp_path, "", NOW)


async def test_the_command_line_draws_it_for_people_and_for_programs(tmp_path: Path) -> None:
    async with open_yard(tmp_path / "w") as yard:
        await furnish(yard)
    drawn = du(tmp_path / "w")  # a package whose upload was begun in 2001 is left behind, too
    assert "| 7   | spooled updates   | 1 " in drawn and "| -   | left behind       | 3 " in drawn
    assert "Left behind, swept at the next start of the server:\n" in drawn
    assert drawn.count("  updates and uploads of rounds that are over\n") == 2
    assert drawn.count("  6 B  models and packages that no run refers to\n") == 1
    told = json.loads(du(tmp_path / "w", "--format", "json"))
    assert {"run": 3, "what": "kept updates", "files": 1, "bytes": 35} in told["lines"]
    assert len(told["left_behind"]) == 3 and told["free"] > 0


def du(*args: str | Path) -> str:
    """What ``rondo server du`` prints; it ends with exit code 0."""
    command = [sys.executable, "-m", "rondo", "server", "du", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
