"""Runs as an admin sees, starts and stops them (``commands.desk.Runs``)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rondo.base.errors import Conflict, NotFound
from rondo.commands.desk import RunLine, WaitingLine
from rondo.jobs.job import Job, read_job
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import events, models, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import OPEN, Deployment, Run
from rondo.rounds.events import Aborted, ClientJoined, ClientLeft
from rondo.rounds.orders import TAKING_PART, failure
from rondo.server.asking import Asking
from rondo.server.dispatch import see_able
from rondo.server.folders import RunFolders
from rondo.server.runs import Runs
from rondo.server.store import Store


class RunDesk:
    """``user``: in whose name."""

    def __init__(self, store: Store, live: Runs, folders: RunFolders, asking: Asking, user: str) -> None:
        self._store = store
        self._runs = live
        self._folders = folders
        self._asking = asking
        self._user = user

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

    async def submit(self, folder: str) -> int:
        """A run of the staged job on every client."""
        package = await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        staged, archive = self._store.folder / "transfer" / folder, self._store.blobs.local(package.digest)
        await asyncio.to_thread(unpack_once, archive, package.digest, staged)  # as it is, unless a kill left it behind
        job = await asyncio.to_thread(read_job, staged)

        def write(tx: Tx) -> int:
            number, voucher = runs.next_number(tx), package.voucher
            where = Deployment(number, "server", folder, package.digest, package.size, 0.0, voucher)
            return self._add(tx, job, where, "all")

        return await self._submitted(write)

    async def start(self) -> int:
        number = await self._folders.chosen()
        deployment = await self._store.read(runs.deployed, number, "server")
        if deployment is None:
            raise Conflict("The server's MMAR does not exist. Please deploy it before start server.")
        job = await asyncio.to_thread(read_job, self._store.run_folder(number) / "mmar_server")

        def write(tx: Tx) -> int:
            under_way = runs.open_runs(tx)
            if under_way:
                raise Conflict(f"Server training has already been started: run {under_way[0].id}.", hint="abort server")
            return self._add(tx, job, deployment, "named")

        return await self._submitted(write)

    def _add(self, tx: Tx, job: Job, where: Deployment, invites: str) -> int:
        now, server = self._store.clock.now(), job.server
        values = {
            "number": where.number, "name": job.name, "state": "submitted", "package": where.package,
            "package_size": where.package_size, "by": self._user, "invites": invites, "created_at": now,
            "start_round": server.start_round, "num_rounds": server.num_rounds,
            "min_clients": server.min_clients, "max_clients": server.max_clients,
            "seed": server.seed or secrets.token_hex(16), "voucher": where.voucher,
        }  # fmt: skip
        run = runs.add(tx, values)
        data = {"job": job.name, "number": where.number, "rounds": server.num_rounds, "by": self._user}
        events.record(tx, now, run, "run_submitted", data)
        return run

    async def _submitted(self, write: Callable[[Tx], int]) -> int:
        run = await self._store.do(write)
        self._store.bell.ring("runs")
        return run

    async def start_client(self, client: str) -> None:
        run = 0

        def invite(tx: Tx) -> None:
            nonlocal run
            under_way = runs.open_runs(tx)
            if not under_way:
                raise Conflict("Server training has not started.", hint="start server first")
            deployment = runs.deployed(tx, under_way[0].number, client)
            if deployment is None:
                raise Conflict(f"mmar_{client} does not exist. Please deploy it before start client.")
            part = runs.participant(tx, under_way[0].id, client)
            if part is not None and part.state in TAKING_PART:
                raise Conflict("Client already in training.")
            if runs.is_full(tx, under_way[0]):
                raise Conflict(f"{under_way[0].max_clients} clients take part already: the job's max_clients")
            see_able(tx, self._store.run_folder(under_way[0].number) / "mmar_server", client)
            run = under_way[0].id
            runs.invite(tx, run, client, deployment, self._store.clock.now())

        def taken(tx: Tx) -> bool:
            part = runs.participant(tx, run, client)
            return part is not None and part.state != "invited"

        def withdraw(tx: Tx) -> None:
            if run and not taken(tx):
                runs.set_participant(tx, (run, client), "stopped", self._store.clock.now(), {"error": "No replies"})

        await self._asking.order(client, invite, taken, withdraw)
        self._runs.tell(run, ClientJoined(client))

    async def abort_client(self, client: str) -> None:
        def write(tx: Tx) -> int:
            engaged = runs.engagement(tx, client)
            if engaged is None or engaged[1].state not in TAKING_PART:
                raise Conflict("Client training is not running.")
            now = self._store.clock.now()
            runs.set_participant(tx, (engaged[0].id, client), "stopped", now, {"error": f"aborted by {self._user}"})
            return engaged[0].id

        run = await self._store.do(write)
        self._runs.tell(run, ClientLeft(client))
        self._store.bell.ring(f"client:{client}")

    async def abort(self, run: int | None) -> int:
        """The run under way where no id is given. It is over in the ledger at once, whatever befalls its driver."""
        why = failure(f"aborted by {self._user}")

        def write(tx: Tx) -> int:
            wanted = [line for line in runs.open_runs(tx) if run is None or line.id == run]
            if not wanted:
                raise Conflict("Server training is not running." if run is None else f"run {run} is not open")
            now = self._store.clock.now()
            runs.advance(tx, wanted[0].id, OPEN, "aborted", ended_at=now, error=why)
            events.record(tx, now, wanted[0].id, "run_aborted", why)
            return wanted[0].id

        async def end() -> int:
            found = await self._store.do(write)
            self._runs.tell(found, Aborted(why["error"]))
            self._store.bell.ring(f"run:{found}")
            await self._store.wake_participants(found)
            return found

        return await asyncio.shield(end())  # also where the admin does not wait for it


def _run_line(tx: Tx, run: Run) -> RunLine:
    this = rounds.current(tx, run.id)
    submitted = len(rounds.accepted(tx, (this.run, this.round, this.task))) if this else 0
    return RunLine(
        run.id, run.number, run.name, run.state, this.round if this else None, run.start_round, run.num_rounds,
        run.min_clients, run.max_clients, submitted, run.by, run.best_version, run.error,
    )  # fmt: skip
