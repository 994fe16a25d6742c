"""Runs as an admin sees, starts and stops them (``commands.desk.Runs``)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rondo.base.errors import Conflict, NotFound
from rondo.commands.desk import RunLine, WaitingLine, WhenBusy
from rondo.jobs.job import Job, read_job
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import crossing, models, rounds, runs, turns
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Deployment, Run
from rondo.rounds.events import Aborted, ClientJoined, ClientLeft, NobodyTrains
from rondo.server.asking import Asking
from rondo.server.dispatch import see_able
from rondo.server.folders import RunFolders
from rondo.server.runs import Runs
from rondo.server.store import Store


class RunDesk:
    """``asking`` says in whose name."""

    def __init__(self, store: Store, live: Runs, folders: RunFolders, asking: Asking) -> None:
        self._store = store
        self._folders = folders
        self._runs = live
        self._asking = asking
        self._asked = {"by": asking.user, "event": asking.event}  # as rows and events keep it

    async def current(self) -> RunLine | None:
        """The run that is under way, else the newest one."""

        def look(tx: Tx) -> RunLine | None:
            under_way = runs.open_runs(tx)
            newest = under_way[0] if under_way else runs.latest(tx)
            return _run_line(tx, newest) if newest else None

        return await self._store.read(look)

    async def get(self, run: int) -> RunLine:
        def look(tx: Tx) -> RunLine:
            found = runs.get(tx, run)
            if found is None:
                raise NotFound(f"there is no run {run}", hint="list_runs shows what there is")
            return _run_line(tx, found)

        return await self._store.read(look)

    async def listed(self) -> list[RunLine]:
        return await self._store.read(lambda tx: [_run_line(tx, run) for run in runs.listed(tx)])

    async def waiting(self) -> WaitingLine | None:
        if self._runs.round is None:
            return None
        waiting = self._runs.round.waiting()
        return WaitingLine(waiting.clients, waiting.why, self._runs.since, waiting.then) if waiting.then else None

    async def models(self, run: int) -> list[Mapping[str, Any]]:
        return [asdict(model) for model in await self._store.read(models.of_run, run)]

    async def metrics(self, run: int) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        rows.extend(await self._store.read(rounds.metric_rows, run))
        return rows

    async def crossed(self, run: int) -> list[Mapping[str, Any]]:
        def look(tx: Tx) -> list[Mapping[str, Any]]:
            found = runs.get(tx, run)
            return [asdict(entry) for entry in crossing.entries(tx, found)] if found else []

        return await self._store.read(look)

    async def submit(self, folder: str, when_busy: WhenBusy) -> int:
        """A run of the staged job on every client."""
        package = await self._store.read(runs.see_staged, folder)
        job = await self._job(package.digest, self._store.folder / "transfer" / folder)

        def decide(tx: Tx) -> int:
            self._folders.see_same(tx, folder)
            if runs.see_staged(tx, folder) != package:
                raise Conflict(f"{folder} was uploaded anew meanwhile", hint="submit it again")
            number, voucher = runs.next_number(tx), package.voucher
            where = Deployment(number, "server", folder, package.digest, package.size, 0.0, voucher)
            return self._begin(tx, job, where, "all", when_busy)

        return await self._begun(decide)

    async def start(self, when_busy: WhenBusy) -> int:
        deployment = await self._store.read(turns.to_start)
        job = await self._job(deployment.package, self._store.run_folder(deployment.number) / "mmar_server")

        def decide(tx: Tx) -> int:
            if turns.to_start(tx) != deployment:
                raise Conflict("another run number or job was chosen meanwhile", hint="start again")
            return self._begin(tx, job, deployment, "named", when_busy)

        return await self._begun(decide)

    async def _job(self, digest: str, folder: Path) -> Job:
        """The job of this package, which lies in ``folder`` (unless a kill left it behind)."""

        async def read() -> Job:
            await asyncio.to_thread(unpack_once, self._store.blobs.local(digest), digest, folder)
            return await asyncio.to_thread(read_job, folder)

        return await self._store.in_folders(read)

    def _begin(self, tx: Tx, job: Job, where: Deployment, invites: str, when_busy: WhenBusy) -> int:
        server = job.server
        values = {
            "number": where.number, "name": job.name, "package": where.package, "package_size": where.package_size,
            **self._asked, "invites": invites, "start_round": server.start_round, "num_rounds": server.num_rounds,
            "min_clients": server.min_clients, "max_clients": server.max_clients,
            "seed": server.seed or secrets.token_hex(16), "voucher": where.voucher,
        }  # fmt: skip
        return turns.begin(tx, self._store.clock.now(), values, waits=when_busy == "queue")

    async def _begun(self, decide: Callable[[Tx], int]) -> int:
        run = await self._store.do(decide)
        self._store.bell.ring("runs")
        return run

    async def start_client(self, client: str, gpus: int = 0) -> None:
        now, run = self._store.clock.now(), 0

        def invite(tx: Tx) -> None:
            nonlocal run
            asked = turns.invite(tx, now, client, gpus, self._asked)
            see_able(tx, self._store.run_folder(asked.number) / "mmar_server", client)
            run = asked.id

        def taken(tx: Tx) -> bool:
            runs.see_open(tx, run)  # whoever waits for a run that is over waits in vain
            part = runs.participant(tx, run, client)
            return part is not None and part.state != "invited"

        def withdraw(tx: Tx) -> None:
            turns.withdraw(tx, self._store.clock.now(), run, client, now)

        await self._asking.order(client, invite, taken, withdraw)
        self._runs.tell(run, ClientJoined(client))

    async def abort_client(self, client: str) -> None:
        def stop(tx: Tx) -> tuple[int, bool]:
            run = turns.stop(tx, self._store.clock.now(), client, self._asked)
            return run, runs.only_validates(runs.taking_part(tx, run))

        run, over = await self._store.do(stop)
        self._runs.tell(run, ClientLeft(client), *([NobodyTrains()] if over else []))
        self._store.bell.ring(f"client:{client}")

    async def abort(self, run: int | None) -> int:
        """The run under way where no id is given. It is over in the ledger at once, whatever befalls its driver."""

        async def end() -> int:
            found = await self._store.do(turns.abort, self._store.clock.now(), run, self._asked)
            self._runs.tell(found.id, Aborted(f"aborted by {self._asked['by']}"))
            await self._store.wake_over(found.id)
            return found.id

        return await asyncio.shield(end())  # also where the admin does not wait for it


def _run_line(tx: Tx, run: Run) -> RunLine:
    this = rounds.current(tx, run.id)
    submitted = len(rounds.accepted(tx, (this.run, this.round, this.task))) if this else 0
    number = min(this.round, max(run.start_round, run.num_rounds)) if this else None  # those after it train no more
    return RunLine(
        run.id, run.number, run.name, run.state, number, run.start_round, run.num_rounds,
        run.min_clients, run.max_clients, submitted, run.by, run.best_version, run.error,
    )  # fmt: skip
