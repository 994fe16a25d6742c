"""The desk: what commands may touch, carried out on ledger, runs and sessions."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rondo.base.errors import Conflict, NotFound, RondoError, Unreachable
from rondo.base.ids import new_id
from rondo.commands.seam import ClientLine, RunLine, WaitingLine
from rondo.jobs.job import Job, read_job
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import asks, events, models, rounds, runs
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import OPEN, Deployment, Run
from rondo.rounds.events import Aborted, ClientJoined, ClientLeft
from rondo.rounds.orders import TAKING_PART, failure
from rondo.server.dispatch import see_able
from rondo.server.lines import client_lines
from rondo.server.runs import Runs
from rondo.server.store import Store

NUMBER = "run_number"
TIMEOUT = "command_timeout"
DEFAULT_TIMEOUT = 10.0  # seconds, as in Clara


class ServerDesk:
    """One per command: ``user`` is who asks."""

    def __init__(self, store: Store, live: Runs, user: str, stop: Callable[[], None]) -> None:
        self.user = user
        self._store = store
        self._runs = live
        self._stop = stop

    # ---- seeing

    async def clients(self) -> list[ClientLine]:
        return await self._store.read(client_lines)

    async def run_number(self) -> int | None:
        value = await self._store.read(events.setting, NUMBER)
        return int(value) if value else None

    async def current_run(self) -> RunLine | None:
        """The run that is under way, else the newest one."""

        def look(tx: Tx) -> RunLine | None:
            under_way = runs.open_runs(tx)
            newest = under_way[0] if under_way else runs.latest(tx)
            return _run_line(tx, newest) if newest else None

        return await self._store.read(look)

    async def run(self, run: int) -> RunLine:
        def look(tx: Tx) -> RunLine:
            found = runs.get(tx, run)
            if found is None:
                raise NotFound(f"there is no run {run}", hint="list_runs shows what there is")
            return _run_line(tx, found)

        return await self._store.read(look)

    async def runs(self) -> list[RunLine]:
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

    async def staged(self, folder: str) -> str:
        package = await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        return str(self._store.folder / "transfer" / folder)

    # ---- run numbers and deployment

    async def set_run_number(self, number: int) -> bool:
        def write(tx: Tx) -> bool:
            if runs.open_runs(tx):
                raise Conflict("run_number can not be changed during the FL app running.", hint="abort server first")
            events.put_setting(tx, NUMBER, str(number))
            return runs.number_exists(tx, number)

        existed = await self._store.do(write)
        folder = self._store.run_folder(number)
        existed = existed or folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        return existed

    async def _number(self) -> int:
        number = await self.run_number()
        if number is None:
            raise Conflict("Please set a run number.", hint="set_run_number N")
        return number

    async def _deployment(self, folder: str, target: str) -> Deployment:
        number, package = await self._number(), await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        if await self._store.read(_trains, number, target):
            raise Conflict(f"{target} is in training in run_{number}.", hint="abort it first, or set_run_number")
        return Deployment(number, target, folder, package.digest, package.size, self._store.clock.now())

    async def deploy_server(self, folder: str) -> None:
        deployment = await self._deployment(folder, "server")
        code = self._store.run_folder(deployment.number) / "mmar_server"
        await asyncio.to_thread(unpack_once, self._store.blobs.local(deployment.package), deployment.package, code)
        await self._store.do(runs.deploy, deployment)

    async def deploy_client(self, folder: str, client: str) -> str:
        deployment = await self._deployment(folder, client)
        copy = self._store.run_folder(deployment.number) / f"mmar_{client}"
        await asyncio.to_thread(unpack_once, self._store.blobs.local(deployment.package), deployment.package, copy)
        earlier = await self._store.read(runs.deployed, deployment.number, client)
        await self._store.do(runs.deploy, deployment)  # now it may fetch the package
        args = [str(deployment.number), folder, deployment.package, str(deployment.package_size)]
        try:
            return await self._ask(client, "deploy", args)
        except RondoError:
            await self._store.do(runs.undeploy, deployment, earlier)
            raise

    # ---- starting

    async def submit(self, folder: str) -> int:
        """A run of the staged job on every client."""
        package = await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        staged, archive = self._store.folder / "transfer" / folder, self._store.blobs.local(package.digest)
        await asyncio.to_thread(unpack_once, archive, package.digest, staged)  # as it is, unless a kill left it behind
        job = await asyncio.to_thread(read_job, staged)

        def write(tx: Tx) -> int:
            where = Deployment(runs.next_number(tx), "server", folder, package.digest, package.size, 0.0)
            return self._add(tx, job, where, "all")

        return await self._submitted(write)

    async def start_server(self) -> int:
        number = await self._number()
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
            "package_size": where.package_size, "by": self.user, "invites": invites, "created_at": now,
            "start_round": server.start_round, "num_rounds": server.num_rounds,
            "min_clients": server.min_clients, "max_clients": server.max_clients,
            "seed": server.seed or secrets.token_hex(16),
        }  # fmt: skip
        run = runs.add(tx, values)
        data = {"job": job.name, "number": where.number, "rounds": server.num_rounds, "by": self.user}
        events.record(tx, now, run, "run_submitted", data)
        return run

    async def _submitted(self, write: Callable[[Tx], int]) -> int:
        run = await self._store.do(write)
        self._store.bell.ring("runs")
        return run

    async def start_client(self, client: str) -> str:
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

        await self._order(client, invite, taken, withdraw)
        self._runs.tell(run, ClientJoined(client))
        return "Starting the client..."

    # ---- stopping

    async def abort_client(self, client: str) -> str:
        def write(tx: Tx) -> int:
            engaged = runs.engagement(tx, client)
            if engaged is None or engaged[1].state not in TAKING_PART:
                raise Conflict("Client training is not running.")
            now = self._store.clock.now()
            runs.set_participant(tx, (engaged[0].id, client), "stopped", now, {"error": f"aborted by {self.user}"})
            return engaged[0].id

        run = await self._store.do(write)
        self._runs.tell(run, ClientLeft(client))
        self._store.bell.ring(f"client:{client}")
        return "Aborting the client..."

    async def abort_run(self, run: int | None) -> int:
        """The run under way where no id is given. It is over in the ledger at once, whatever befalls its driver."""
        why = failure(f"aborted by {self.user}")

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

    async def shut_down(self, target: str) -> str:
        if target == "server":
            if await self.clients():
                raise Conflict("There are still active clients. Shutdown all clients first.")
            self._stop()
            return "Shutdown the server..."

        def gone(tx: Tx) -> bool:
            return target not in session_rows.names(tx)

        def leave(how: str) -> Callable[[Tx], None]:
            return lambda tx: session_rows.order_leave(tx, target, how)

        await self._order(target, leave("shutdown"), gone, leave(""))
        return "Shutdown the client..."

    # ---- asking clients

    async def _timeout(self) -> float:
        chosen = await self._store.read(events.setting, TIMEOUT)
        return float(chosen) if chosen else DEFAULT_TIMEOUT

    async def _order(
        self, client: str, write: Callable[[Tx], None], done: Callable[[Tx], bool], withdraw: Callable[[Tx], None]
    ) -> None:
        """Write an order for ``client`` and wait until it is ``done``, at most the command timeout.

        What is not done by then, or when the admin waits no more, is withdrawn: never carried out late (T8). Raises
        ``Unreachable``.
        """
        try:
            until = self._store.clock.ticks() + await self._timeout()
            await self._store.do(write)
            self._store.bell.ring(f"client:{client}")
            while True:
                ticket = self._store.bell.ticket("answers")
                if await self._store.read(done):
                    return
                left = until - self._store.clock.ticks()
                if left <= 0:
                    raise Unreachable("No replies", hint="the command was withdrawn")
                await self._store.bell.wait("answers", ticket, left)
        finally:
            await asyncio.shield(self._store.do(withdraw))

    async def _ask(self, client: str, name: str, args: list[str]) -> str:
        ask = asks.Ask(new_id(), client, name, args, self.user, "pending", None, self._store.clock.now())
        await self._order(
            client,
            lambda tx: asks.put(tx, ask),
            lambda tx: asks.answered(tx, ask.id) is not None,
            lambda tx: asks.withdraw(tx, ask.id),
        )
        answered = await self._store.read(asks.answered, ask.id)
        assert answered is not None
        if answered.answer.get("error"):
            raise Conflict(str(answered.answer["error"]))
        return str(answered.answer.get("text", ""))


def _trains(tx: Tx, number: int, target: str) -> bool:
    """Is the code of run folder ``number`` at ``target`` in use?"""
    for run in runs.open_runs(tx):
        part = runs.participant(tx, run.id, target)
        if run.number == number and (target == "server" or (part is not None and part.state in TAKING_PART)):
            return True
    return False


def _run_line(tx: Tx, run: Run) -> RunLine:
    this = rounds.current(tx, run.id)
    submitted = len(rounds.accepted(tx, (this.run, this.round, this.task))) if this else 0
    return RunLine(
        run.id, run.number, run.name, run.state, this.round if this else None, run.start_round, run.num_rounds,
        run.min_clients, run.max_clients, submitted, run.by, run.best_version, run.error,
    )  # fmt: skip
