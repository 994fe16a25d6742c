"""What nothing refers to goes, and only that: everything at the start, what belongs to a run at its end."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rondo.base.errors import NoSpace
from rondo.blobs.local import LocalBlobs
from rondo.ledger import asks, events, models, rounds, runs, sessions
from rondo.ledger.asks import Ask
from rondo.ledger.runs import Deployment, Package
from rondo.ledger.sessions import Session
from rondo.ledger.tables import metadata
from rondo.server.keeping import keep_updates
from rondo.server.leftovers import PATIENT
from rondo.server.sweeping import LEDGER_ID, sweep, sweep_after
from rondo.tensors.digest import FileInfo
from rondo.wire import rondo_pb2 as pb
from tests.ledger.rows import add_run
from tests.server.yard import NOW, Yard, open_yard


async def swept(made: Yard) -> set[str]:
    """What the start of a server removes from the workspace."""
    before = made.files()
    await sweep(made.store)
    return before - made.files()


def where(made: Yard, *files: FileInfo | Path) -> set[str]:
    paths = (file if isinstance(file, Path) else file.path for file in files)
    return {str(path.relative_to(made.store.folder)) for path in paths}


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with open_yard(tmp_path / "w") as made:
        yield made


async def test_updates_of_rounds_that_are_over_go_and_those_that_count_stay(yard: Yard) -> None:
    ended = await yard.store.do(add_run, "finished")
    going_on = await yard.store.do(add_run, number=2)
    over = await yard.counted(going_on, 0, "a")
    await yard.store.do(rounds.end_round, (going_on, 0, "train"), "committed", 2.0)
    counts = await yard.counted(going_on, 1, "a")
    await yard.store.do(rounds.close_round, (going_on, 1, "train"))  # it is folded, or will be again
    lost = yard.spooled("b", "adopted by nobody: the server died before its row")
    part = yard.spooled("b", "half of an update", ".part")
    made = yard.put(f"spool/.folded-{going_on}")
    own = yard.put(f"spool/.own-{going_on}.of.a")
    decoded = yard.put(f"spool/.plain-{going_on}/a")
    left = [yard.put(f"spool/.{word}-{ended}") for word in ("folded", "first", "coded")]
    left += [yard.put(f"spool/.own-{ended}.folded")]
    left += [yard.put(f"spool/.plain-{ended}/{client}") for client in "ab"]
    left += [yard.put("spool/..folded-7.99999999.part"), yard.put("spool/what is this")]
    assert await swept(yard) == where(yard, over, lost, part, *left)
    assert counts.path.exists() and made.exists() and own.exists() and decoded.exists()
    assert not (yard.store.spool / "b").exists(), "an empty folder"


async def test_an_upload_that_its_sender_may_go_on_with_stays(yard: Yard) -> None:
    run = await yard.store.do(add_run)
    await yard.counted(run, 0, "a")
    for client in "bc":
        row = await yard.store.read(runs.get, run)
        assert row is not None
        await yard.store.do(runs.invite, run, client, row, 1.0)
    half, whole = yard.spooled("b", "half", ".part"), yard.spooled("c", "whole, but without a row")
    package, old = yard.spooled("lead", "package", ".part"), yard.spooled("lead", "old package", ".part")
    for client, file in (("b", half), ("c", whole)):
        await yard.offered(client, file, update=pb.Claim(run=run, round=0))
    await yard.offered("lead", package, package=pb.Package(name="job"))
    await yard.offered("lead", old, at=NOW - PATIENT, package=pb.Package(name="job"))
    assert await swept(yard) == where(yard, old)
    await yard.store.do(rounds.close_round, (run, 0, "train"))  # now nobody waits for these two any more
    assert await swept(yard) == where(yard, half, whole)
    offers = await yard.store.read(lambda tx: tx.execute(metadata.tables["offers"].select()).all())
    assert [row.digest for row in offers] == [package.digest]


async def test_what_is_being_received_is_left_alone(yard: Yard) -> None:
    part = yard.spooled("b", "it is being written", ".part")
    descriptor = os.open(part.path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert await swept(yard) == set()
    os.close(descriptor)
    assert await swept(yard) == where(yard, part)


async def test_blobs_that_no_row_keeps_go(yard: Yard) -> None:
    names = ["staged", "deployed", "invited", "of the run", "kept", "best", "shared", "forgotten", "no row", "replaced"]
    blob = {name: yard.blob(name) for name in names}
    run = await yard.store.do(add_run, "finished", package=blob["of the run"].digest)
    row = await yard.store.read(runs.get, run)
    assert row is not None
    invited = Package("x", blob["invited"].digest, 1, "lead", 1.0)
    await yard.store.do(runs.invite, run, "a", invited, 1.0)
    await yard.store.do(runs.deploy, Deployment(4, "server", "x", blob["deployed"].digest, 1, 1.0))
    await yard.store.do(runs.stage, Package("job", blob["replaced"].digest, 1, "lead", 1.0))
    await yard.store.do(runs.stage, Package("job", blob["staged"].digest, 1, "lead", 2.0))
    for version, (name, kept) in enumerate([("kept", 1), ("best", 1), ("shared", 1), ("shared", 0), ("forgotten", 0)]):
        model = models.Model(run, version, blob[name].digest, 1, bool(kept), {}, {}, 1.0)
        await yard.store.do(models.add, model)
    remembers = {"memory": {"digest": yard.blob("momentum").digest, "size": 8}}
    await yard.store.do(models.add, models.Model(run, 9, blob["kept"].digest, 1, True, {}, remembers, 1.0))
    sent = yard.blob("sent for it")
    await yard.store.do(models.add, models.Model(run, 10, blob["kept"].digest, 1, True, {}, {}, 1.0, sent.digest, 8))
    foreign = yard.put("blobs/README"), yard.put("blobs/ab/notes.txt")
    assert await swept(yard) == where(yard, blob["forgotten"], blob["no row"], blob["replaced"])
    assert all(path.exists() for path in foreign), "not of Rondo"


def test_no_column_that_names_a_file_is_forgotten() -> None:
    """A new column of digests must be known to ``rondo.ledger.wanted``: else its files are swept at the next start."""
    digests = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if getattr(column.type, "length", None) == 80
    }
    assert digests == {
        "contributions.digest", "cross_models.digest", "cross_models.sent",
        "deployments.package", "models.digest", "models.sent", "offers.digest",
        "packages.digest", "participants.package", "runs.package",
    }  # fmt: skip


async def test_half_unpacked_packages_go_and_jobs_stay(yard: Yard) -> None:
    await yard.store.do(runs.stage, Package("job", "blake3:" + "a" * 64, 1, "lead", 1.0))
    stays = [
        "transfer/job/job.toml", "transfer/.job.digest", "transfer/by hand/job.toml", "run_1/mmar_server/job.toml",
        "run_1/.mmar_server.digest", "run_1/metrics.jsonl", "run_1/server_worker.log", "run_1/.hidden", "log.jsonl",
        f"run_1/.metrics.{os.getpid()}.part", "run_1/mmar_server/models/FL_global_model.safetensors",
        "run_1/updates/round_1/a.safetensors",
    ]  # fmt: skip
    goes = [
        "transfer/.job.new/job.toml", "transfer/..job.new.x1y2.part/job.toml", "transfer/..job.x1y2.new/job/a.toml",
        "transfer/never/job.toml", "transfer/.never.digest", "run_1/.mmar_server.new/job.toml",
        "run_1/..mmar_a.new.abc_1.part/job.toml", "run_1/..mmar_a.digest.99999999.part",
        "run_1/mmar_server/models/.FL_global_model.safetensors",
    ]  # fmt: skip
    for name in (*stays, *goes):
        yard.put(name)
    assert await swept(yard) == set(goes)


async def test_what_is_swept_is_told_with_its_size(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(7):
        yard.spooled(f"site-{number}", "x" * (1 << number << 10))
    with caplog.at_level(logging.INFO):
        await sweep(yard.store)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "rondo.sweeping"]
    assert line.startswith("the server starts; swept 7 updates and uploads of rounds that are over, 127.0 KiB: spool/")
    assert line.endswith(", ...") and line.count("spool/") == 5


class Stuck(LocalBlobs):
    """A store on a disk that has become read-only."""

    def delete(self, digest: str) -> int:
        raise NoSpace("cannot delete the file: Read-only file system", where=digest)


async def test_what_cannot_be_removed_stays_and_the_rest_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_yard(tmp_path / "w", Stuck(tmp_path / "w" / "blobs")) as made:
        stuck, pipe = made.blob("without a row"), made.store.spool / "b" / f"{'a' * 64}.part"
        pipe.parent.mkdir()
        os.mkfifo(pipe)  # whoever opens one waits, unless he is careful
        await sweep(made.store)
        assert stuck.path.exists() and not pipe.exists()
        assert f"{stuck.path} stays where it is: {stuck.digest}: cannot delete the file" in caplog.text


async def test_by_the_word_of_another_ledger_nothing_is_swept(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    lost, path = yard.blob("without a row"), yard.store.folder / LEDGER_ID
    mine = path.read_text()
    path.write_text("another")
    assert await swept(yard) == set()
    run = await yard.store.do(add_run, "finished")
    await sweep_after(yard.store, run)
    assert lost.path.exists() and "is of another ledger; remove it to bind the workspace" in caplog.text
    path.unlink()
    assert await swept(yard) == set(), "files that are older than the bond are not judged by it yet"
    assert path.read_text() == mine
    assert await swept(yard) == where(yard, lost)


async def test_rows_that_are_no_history_go_when_they_are_old(yard: Yard) -> None:
    day = 86400.0
    for name, role, state, seen in (
        ("old", "client", "gone", NOW - 31 * day), ("young", "client", "gone", NOW - 29 * day),
        ("here", "client", "here", NOW - 99 * day), ("old admin", "admin", "gone", NOW - 2 * day),
        ("admin", "admin", "gone", NOW - day / 2),
    ):  # fmt: skip
        session = Session(name, name, name, role, "f", "h:1", "v", state, "", 0.0, seen, "")
        await yard.store.do(sessions.add, session)
    for name, state, at in (
        ("a", "answered", NOW - 2 * day),
        ("w", "withdrawn", NOW - 2 * day),
        ("n", "answered", NOW),
    ):
        await yard.store.do(asks.put, Ask(name, "here", "deploy", [], "lead", state, {}, at))
    await yard.store.do(asks.put, Ask("p", "here", "deploy", [], "lead", "pending", None, NOW - 2 * day))
    await sweep(yard.store)
    left = await yard.store.read(
        lambda tx: {
            name: sorted(row[0] for row in tx.execute(metadata.tables[name].select())) for name in ("sessions", "asks")
        }
    )
    assert left == {"sessions": ["admin", "here", "young"], "asks": ["n", "p"]}


async def test_the_end_of_a_run_takes_what_it_left(yard: Yard) -> None:
    run = await yard.store.do(add_run)
    update = await yard.counted(run, 0, "a")
    late = yard.spooled("b", "never sent to its end", ".part")
    await yard.offered("b", late, update=pb.Claim(run=run, round=0))
    uploading = yard.spooled("lead", "the next job", ".part")
    await yard.offered("lead", uploading, package=pb.Package(name="next"))
    small = yard.spooled("lead", "came along with its offer, and is looked at just now")
    yard.store.room.promise(small.path, small.size, alone=False)
    made = yard.put(f"spool/.folded-{run}")
    kept, forgotten, orphan = yard.blob("kept"), yard.blob("forgotten"), yard.blob("may be staged right now")
    for version, (file, is_kept) in enumerate([(kept, True), (forgotten, False)]):
        await yard.store.do(models.add, models.Model(run, version, file.digest, 1, is_kept, {}, {}, 1.0))
    for kind in ("progress", "update_accepted"):
        await yard.store.record(run, kind, {"client": "a"})
    await yard.store.do(runs.advance, run, "failed")
    before = yard.files()
    await sweep_after(yard.store, run)
    assert before - yard.files() == where(yard, update, late, made, forgotten)
    assert uploading.path.exists() and orphan.path.exists() and small.path.exists()
    assert [event.kind for event in await yard.store.read(events.after, 0)] == ["update_accepted"]


async def test_kept_updates_are_those_of_the_last_rounds_of_this_run(yard: Yard) -> None:
    run = await yard.store.do(add_run)
    row = await yard.store.read(runs.get, run)
    assert row is not None
    for stale in ("updates/round_9/x.safetensors", "updates/notes.txt"):  # of an earlier run; of a person
        yard.put(f"run_1/{stale}")
    kept = yard.store.run_folder(1) / "updates"
    for number in range(4):
        update = await yard.counted(run, number, "a")
        counted = await yard.store.read(rounds.accepted, (run, number, "train"))
        for _ in range(2):  # once more, as after a kill
            keep_updates(yard.store, row, number, counted, 2)
        assert (kept / f"round_{number}" / "a.safetensors").read_bytes() == update.path.read_bytes()
        await yard.store.do(rounds.end_round, (run, number, "train"), "committed", 2.0)
    await sweep(yard.store)
    assert not list((yard.store.folder / "spool").rglob("*")), "the spool is empty"
    assert sorted(path.name for path in kept.iterdir()) == ["notes.txt", "round_2", "round_3"]
    keep_updates(yard.store, row, 4, [], 0)
    assert sorted(path.name for path in kept.iterdir()) == ["notes.txt"]
