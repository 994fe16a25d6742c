"""Uploads: what arrives is looked at beside what is there, and takes its place in one step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.facts import PackageFacts
from rondo.jobs.package import pack
from rondo.ledger import runs
from rondo.ledger.sessions import Session
from rondo.pki.kit import Kit
from rondo.pki.trust import Trust
from rondo.policy.actions import Action
from rondo.policy.policy import OpenPolicy
from rondo.server.rights import SERVER, Rights
from rondo.server.staging import Staging
from rondo.wire import rondo_pb2 as pb
from tests.jobs.folders import tree
from tests.real.world import write_job
from tests.server.house import House, house


@dataclass(frozen=True)
class Gated(Rights):
    """Who asks what a user may do waits in front of a gate: for as long as that, a package is being looked at."""

    reached: Callable[[], None]
    through: threading.Event

    def check(
        self, user: str, action: Action, sites: Sequence[str] = SERVER, facts: PackageFacts | None = None
    ) -> None:
        self.reached()
        assert self.through.wait(60), "nobody opened the gate"
        super().check(user, action, sites, facts)


class Upload:
    """What an admin sends into a house, where the look at it stops at a gate."""

    def __init__(self, made: House, lead: Session, kit: Kit) -> None:
        self._made, self._lead = made, lead
        self._loop = asyncio.get_running_loop()
        self.looked_at, self.gate = asyncio.Semaphore(0), threading.Event()
        self._staging = Staging(
            made.store, Gated(OpenPolicy(), self._reached, self.gate), Trust(kit.ca_pem, kit.project)
        )

    def _reached(self) -> None:
        self._loop.call_soon_threadsafe(self.looked_at.release)

    async def send(self, job: Path, name: str = "job") -> tuple[pb.Offer, Path]:
        part = self._made.store.upload(self._lead.instance, "blake3:" + f"{len(str(job)):064x}")
        part.parent.mkdir(exist_ok=True)
        file = await asyncio.to_thread(pack, job, part)
        offer = pb.Offer(file=pb.FileRef(digest=file.digest, size=file.size), package=pb.Package(name=name))
        await self.arrived(offer, file.path)
        return offer, file.path

    async def arrived(self, offer: pb.Offer, part: Path) -> None:
        await self._staging.stage(self._lead, offer, part)


async def test_other_commands_on_folders_are_answered_while_a_package_is_looked_at(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        upload = Upload(made, await made.client("lead@hub.org"), kit)
        upload.gate.set()
        await upload.send(write_job(tmp_path / "old", num_rounds=1))
        upload.gate.clear()
        before = tree(made.store.folder / "transfer")
        sending = [
            asyncio.create_task(upload.send(write_job(tmp_path / name, num_rounds=7))) for name in ("new", "other")
        ]
        async with asyncio.timeout(60):
            for _ in ("old", *sending):
                await upload.looked_at.acquire()

            # Both are looked at, and neither is there yet: who works with the folder works with the old one.
            folders = made.desk.folders
            assert (await folders.facts("job")).byoc
            await folders.set_number(1)
            await folders.deploy_server("job")
            assert await made.desk.runs.start("refuse") == 1
            assert "num_rounds = 1" in (made.store.run_folder(1) / "mmar_server/job.toml").read_text()
            await made.desk.runs.abort(1)
            assert await folders.delete_number(2) is False
            assert before.items() <= tree(made.store.folder / "transfer").items()
            assert not any(task.done() for task in sending)
        upload.gate.set()
        await asyncio.gather(*sending)
        assert "num_rounds = 7" in (made.store.folder / "transfer/job/job.toml").read_text()
        assert {path.name for path in (made.store.folder / "transfer").iterdir()} == {"job", ".job.digest"}


async def test_who_goes_away_while_a_package_is_looked_at_has_sent_it(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        upload = Upload(made, await made.client("lead@hub.org"), kit)
        sending = asyncio.create_task(upload.send(write_job(tmp_path / "job")))
        async with asyncio.timeout(60):
            await upload.looked_at.acquire()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            upload.gate.set()
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        assert (await made.store.read(runs.see_staged, "job")).by == "lead@hub.org"
        assert {path.name for path in (made.store.folder / "transfer").iterdir()} == {"job", ".job.digest"}


async def test_what_is_sent_again_while_the_first_one_is_kept_is_found_there(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        upload = Upload(made, await made.client("lead@hub.org"), kit)
        upload.gate.set()
        offer, part = await upload.send(write_job(tmp_path / "job"))
        before = tree(made.store.folder / "transfer")
        assert before and not part.exists()
        await upload.arrived(offer, part)
        assert tree(made.store.folder / "transfer") == before


async def test_a_file_that_is_sent_again_while_the_first_one_is_kept_is_there(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        lead = await made.client("lead@hub.org")
        upload, digest = Upload(made, lead, kit), "blake3:" + 64 * "0"
        part = made.store.upload(lead.instance, digest)
        part.parent.mkdir()
        part.write_text("a note")
        package = pb.Package(name="note.txt", plain=True)
        for _ in range(2):
            await upload.arrived(pb.Offer(file=pb.FileRef(digest=digest, size=6), package=package), part)
        assert (made.store.folder / "transfer" / "note.txt").read_text() == "a note" and not part.exists()


async def test_what_does_not_please_leaves_all_as_it_was_and_is_told_by_its_own_name(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        upload = Upload(made, await made.client("lead@hub.org"), kit)
        upload.gate.set()
        await upload.send(write_job(tmp_path / "old"))
        before = tree(made.store.folder / "transfer")
        bad = write_job(tmp_path / "bad")
        (bad / "work.py").unlink()
        with pytest.raises(BadInput, match=r"work"):
            await upload.send(bad)
        assert tree(made.store.folder / "transfer") == before
