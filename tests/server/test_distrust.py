"""After a loss of power a file in the server's workspace is what its name says, or it goes."""

from __future__ import annotations

import os
from pathlib import Path

from rondo.server.distrust import MARK, SHORTLY, distrust
from tests.server.yard import open_yard


async def test_what_is_not_what_its_name_says_goes_once_the_machine_was_started(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    async with open_yard(tmp_path / "w") as made:
        good, bad = made.spooled("a", "good"), made.spooled("b", "bad")
        model, wrong, old = made.blob("model"), made.blob("wrong"), made.blob("old")
        part = made.spooled("c", "begun", suffix=".part")
        boot.write_text("first start")
        distrust(made.store, boot)
        for file in (bad, wrong, old, part):
            file.path.write_bytes(b"stale")
        written = model.path.stat().st_mtime - SHORTLY - 60
        os.utime(old.path, (written, written))
        distrust(made.store, boot)
        assert bad.path.exists(), "the machine has not stopped: nothing is read"
        boot.write_text("second start")
        distrust(made.store, boot)
        there = [file for file in (good, bad, model, wrong, old, part) if file.path.exists()]
        assert there == [good, model, old, part]
        assert wrong.digest not in dict(made.store.blobs.held())
        assert (made.store.folder / MARK).read_text() == "second start"


async def test_a_system_that_does_not_say_when_it_started_is_not_believed(tmp_path: Path) -> None:
    async with open_yard(tmp_path / "w") as made:
        bad = made.spooled("b", "bad")
        for content in (b"bad", b"stale"):
            bad.path.write_bytes(content)
            distrust(made.store, tmp_path / "no such file")
        assert not bad.path.exists()
