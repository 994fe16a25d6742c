"""A desk in memory: it keeps what commands do to it and refuses what the server's desk refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rondo.base.errors import Conflict, NotFound, Unreachable
from rondo.commands import seam
from rondo.commands.rows import Facts, Problem, Row, Table, Text
from rondo.commands.seam import ClientLine, RunLine, WaitingLine

OPEN = ("submitted", "running")


@dataclass
class MemoryDesk:
    """``present``: clients by instance; ``silent``: those that answer no command."""

    user: str = "admin@x.org"
    present: dict[str, ClientLine] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    number: int | None = None
    numbers: set[int] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    deployed: dict[tuple[int, str], str] = field(default_factory=dict)
    known_runs: list[RunLine] = field(default_factory=list)
    waits: WaitingLine | None = None
    versions: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    scalars: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    stopped: bool = False

    def add_client(self, name: str, **values: Any) -> None:
        plain = ClientLine(name, name, f"token-{name}", "here", "training not started", "", None, 0)
        self.present[name] = replace(plain, **values)

    def add_run(self, state: str = "running", **values: Any) -> int:
        run = len(self.known_runs) + 1
        plain = RunLine(run, 1, "job", state, 0, 0, 3, 1, 100, 0, self.user, None, None)
        self.known_runs.append(replace(plain, **values))
        return run

    def _change_run(self, run: int, **values: Any) -> None:
        self.known_runs[run - 1] = replace(self.known_runs[run - 1], **values)

    def _under_way(self) -> RunLine | None:
        return next((run for run in self.known_runs if run.state in OPEN), None)

    def _reach(self, client: str) -> None:
        if client in self.silent:
            raise Unreachable("No replies", hint="the command was withdrawn")

    async def clients(self) -> list[ClientLine]:
        return [line for _, line in sorted(self.present.items())]

    async def run_number(self) -> int | None:
        return self.number

    async def set_run_number(self, number: int) -> bool:
        if self._under_way():
            raise Conflict("run_number can not be changed during the FL app running.")
        existed = number in self.numbers
        self.number = number
        self.numbers.add(number)
        return existed

    async def current_run(self) -> RunLine | None:
        return self._under_way() or (self.known_runs[-1] if self.known_runs else None)

    async def run(self, run: int) -> RunLine:
        if not 1 <= run <= len(self.known_runs):
            raise NotFound(f"there is no run {run}", hint="list_runs shows what there is")
        return self.known_runs[run - 1]

    async def runs(self) -> list[RunLine]:
        return self.known_runs[::-1]

    async def waiting(self) -> WaitingLine | None:
        return self.waits

    async def staged(self, folder: str) -> str:
        if folder not in self.packages:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        return f"/ws/startup/../transfer/{folder}"

    async def _deploy(self, folder: str, target: str) -> None:
        if self.number is None:
            raise Conflict("Please set a run number.")
        await self.staged(folder)
        self._reach(target)
        self.deployed[self.number, target] = folder

    async def deploy_server(self, folder: str) -> None:
        await self._deploy(folder, "server")

    async def deploy_client(self, folder: str, client: str) -> str:
        await self._deploy(folder, client)
        return "MMAR deployed."

    async def start_server(self) -> int:
        if self.number is None:
            raise Conflict("Please set a run number.")
        if (self.number, "server") not in self.deployed:
            raise Conflict("The server's MMAR does not exist. Please deploy it before start server.")
        if self._under_way():
            raise Conflict("Server training has already been started.")
        return self.add_run(number=self.number)

    async def start_client(self, client: str) -> str:
        run = self._under_way()
        if run is None:
            raise Conflict("Server training has not started.")
        if (run.number, client) not in self.deployed:
            raise Conflict(f"mmar_{client} does not exist. Please deploy it before start client.")
        if self.present[client].status == "training started":
            raise Conflict("Client already in training.")
        self._reach(client)
        self.present[client] = replace(self.present[client], status="training started")
        return "Starting the client..."

    async def abort_client(self, client: str) -> str:
        if self.present[client].status != "training started":
            raise Conflict("Client training is not running.")
        self.present[client] = replace(self.present[client], status="training stopped")
        return "Aborting the client..."

    async def abort_run(self, run: int | None) -> int:
        found = self._under_way() if run is None else await self.run(run)
        if found is None or found.state not in OPEN:
            raise Conflict("Server training is not running." if run is None else f"run {run} is not open")
        self._change_run(found.id, state="aborted", error={"error": f"aborted by {self.user}", "site": ""})
        return found.id

    async def shut_down(self, target: str) -> str:
        if target == "server":
            if self.present:
                raise Conflict("There are still active clients. Shutdown all clients first.")
            self.stopped = True
            return "Shutdown the server..."
        self._reach(target)
        del self.present[target]
        return "Shutdown the client..."

    async def submit(self, folder: str) -> int:
        await self.staged(folder)
        return self.add_run("submitted", name=folder, number=len(self.known_runs) + 1)

    async def models(self, run: int) -> list[Mapping[str, Any]]:
        return self.versions.get(run, [])

    async def metrics(self, run: int) -> list[Mapping[str, Any]]:
        return self.scalars.get(run, [])


def typed(desk: seam.Desk, line: str) -> list[Row]:
    """All that the command answers to a typed line, by the same way as a console's."""
    name, *args = seam.split(line)
    module = seam.find(name)
    options = seam.parse(module, args)

    async def answers() -> list[Row]:
        return [row async for row in module.run(desk, options)]

    return asyncio.run(answers())


def texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Text)]


def problems(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row.site, row.error, row.code) for row in rows if isinstance(row, Problem)]


def facts(rows: list[Row]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for row in rows:
        if isinstance(row, Facts):
            values |= row.values
    return values


def table(rows: list[Row]) -> Table:
    (found,) = (row for row in rows if isinstance(row, Table))
    return found
