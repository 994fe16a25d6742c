"""The inside of a server without its network: a store on disk, runs, and clients as rows of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rondo.base.clock import Clock, SystemClock
from rondo.blobs import local
from rondo.blobs.seam import BlobStore
from rondo.jobs.package import pack
from rondo.ledger import runs, sessions
from rondo.ledger.bell import Bell
from rondo.ledger.ledger import Ledger, sqlite_url
from rondo.ledger.sessions import Session
from rondo.pki.kit import Kit
from rondo.pki.trust import Trust
from rondo.policy.policy import OpenPolicy, Policy
from rondo.server.asking import Asking
from rondo.server.desk import ServerDesk, ServerHouse
from rondo.server.intake import Intake
from rondo.server.reports import Reports
from rondo.server.rights import Rights
from rondo.server.room import Room
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.store import Store


class House:
    """``live`` plays the runs while the block ``playing`` lasts."""

    def __init__(self, store: Store, policy: Policy | OpenPolicy) -> None:
        self.store = store
        self.wishes: list[str] = []  # what the server was told to do with itself
        self.rights = Rights(policy)
        self.live = Runs(store, self.rights)
        self.front = ServerHouse(store, policy, "study", self.wishes.append)
        self.desk = ServerDesk(store, self.live, self.front, self.end, Asking(store, "lead@hub.org"))

    async def end(self, session: Session, reason: str) -> None:
        """Take a session off the list."""
        await self.store.do(sessions.mark, session.token, "gone", reason, 0.0)

    def reports(self, kit: Kit) -> Reports:
        """Where clients report."""
        return Reports(self.store, self.intake(kit), self.live)

    def intake(self, kit: Kit) -> Intake:
        """Where files arrive."""
        sessions = Sessions(self.store, kit, lambda _: None, self.live.newcomer, self.live.left)
        return Intake(self.store, sessions, self.live, self.rights, Trust(kit.ca_pem, kit.project))

    async def client(self, instance: str, state: str = "here") -> Session:
        """Somebody who has logged in, from the kit of that name."""
        session = Session(f"hash of {instance}", instance, instance, "client", "f", "h:1", "v", state, "", 0.0, 0.0, "")
        await self.store.do(sessions.add, session)
        return session

    async def run(self, job: Path, **values: Any) -> int:
        """A submitted run of the job in this folder."""
        file = await asyncio.to_thread(pack, job, self.store.folder / "package.zip")
        self.store.blobs.adopt(file.path, file.digest)
        about: dict[str, Any] = {
            "number": 1, "name": "job", "state": "submitted", "package": file.digest, "package_size": file.size,
            "by": "lead@hub.org", "invites": "named", "created_at": 0.0, "start_round": 0, "num_rounds": 3,
            "min_clients": 2, "max_clients": 100, "seed": "s",
        }  # fmt: skip
        return await self.store.do(runs.add, about | values)

    async def state(self, run: int) -> tuple[str, dict[str, Any]]:
        """Of the run, and its error."""
        row = await self.store.read(runs.get, run)
        assert row is not None
        return row.state, dict(row.error or {})

    async def until_over(self, run: int) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(20):
            while True:
                ticket = self.store.bell.ticket("events")
                state, error = await self.state(run)
                if state not in runs.OPEN:
                    return state, error
                await self.store.bell.wait("events", ticket)

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        work = asyncio.create_task(self.live.work())
        try:
            yield
            assert not work.done(), work.exception()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@asynccontextmanager
async def house(
    folder: Path,
    policy: Policy | OpenPolicy | None = None,
    blobs: BlobStore | None = None,
    clock: Clock | None = None,
    ledger: type[Ledger] = Ledger,
) -> AsyncIterator[House]:
    (folder / "spool").mkdir(parents=True)
    kept = blobs or local.build(local.Options(folder=str(folder / "blobs")))
    async with ledger(sqlite_url(folder / "ledger.db")) as opened:
        time = clock or SystemClock()
        yield House(Store(opened, kept, Bell(), time, folder, Room(folder, time)), policy or OpenPolicy())
