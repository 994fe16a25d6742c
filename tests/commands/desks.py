"""A desk in memory: it keeps what commands do to it and refuses what the server's desk refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rondo.base.disk import remove_folder
from rondo.base.errors import Conflict, NotFound, RondoError, Unreachable
from rondo.base.options import Options
from rondo.base.site import Site
from rondo.commands import seam
from rondo.commands.desk import ClientLine, FileLine, RunLine, WaitingLine, WhenBusy
from rondo.commands.rows import Problem, Row, Table, Text
from rondo.policy import preview
from rondo.server.downloads import files_at
from tests.policy.policies import project1

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
    matrix: list[Mapping[str, Any]] = field(default_factory=list)  # of every run
    stopped: bool = False
    gpus: dict[str, int] = field(default_factory=dict)  # by client, as it was started
    restarted: bool = False
    timeout: float = 10.0
    folder: Path = field(default_factory=Path)  # of every site

    def add_client(self, name: str, **values: Any) -> None:
        plain = ClientLine(name, name, f"token-{name}", "here", "training not started", "", None, 0)
        self.present[name] = replace(plain, **values)

    def add_run(self, state: str = "running", **values: Any) -> int:
        run = len(self.known_runs) + 1
        plain = RunLine(run, 1, "job", state, 0, 0, 3, 1, 100, 0, self.user, None, None)
        self.known_runs.append(replace(plain, **values))
        return run

    def under_way(self) -> RunLine | None:
        return next((run for run in self.known_runs if run.state in OPEN), None)

    def reach(self, client: str) -> None:
        if client in self.silent:
            raise Unreachable("No replies", hint="the command was withdrawn")

    @property
    def clients(self) -> MemoryClients:
        return MemoryClients(self)

    @property
    def runs(self) -> MemoryRuns:
        return MemoryRuns(self)

    @property
    def folders(self) -> MemoryFolders:
        return MemoryFolders(self)

    @property
    def house(self) -> MemoryHouse:
        return MemoryHouse(self)

    async def visit(self, site: str, command: str, options: Options) -> AsyncIterator[Row]:
        self.reach(site)
        module = seam.find(command)
        async for row in module.at_site(Site(site, self.folder), seam.unpack(module, seam.pack(options))):
            yield row

    async def each(self, sites: Sequence[str], ask: Callable[[str], AsyncIterator[Row]]) -> AsyncIterator[Row]:
        for site in sites:
            try:
                async for row in ask(site):
                    yield row
            except RondoError as error:
                if site == seam.SERVER:
                    raise
                yield Problem(str(error), site=site, code=error.code)


@dataclass
class MemoryClients:
    at: MemoryDesk

    async def listed(self) -> list[ClientLine]:
        return [line for _, line in sorted(self.at.present.items())]

    async def kits(self) -> dict[str, str]:
        return {line.instance: line.kit for line in await self.listed()}

    async def leave(self, client: str, how: str) -> None:
        self.at.reach(client)
        del self.at.present[client]

    async def remove(self, client: str) -> None:
        if client not in self.at.present:
            raise NotFound(f"invalid client(s): {client}")
        del self.at.present[client]


@dataclass
class MemoryFolders:
    at: MemoryDesk

    async def number(self) -> int | None:
        return self.at.number

    async def set_number(self, number: int) -> bool:
        if self.at.under_way():
            raise Conflict("run_number can not be changed during the FL app running.")
        existed = number in self.at.numbers
        self.at.number = number
        self.at.numbers.add(number)
        return existed

    async def delete_number(self, number: int) -> bool:
        if any(run.number == number and run.state in OPEN for run in self.at.known_runs):
            raise Conflict("Current running run_number can not be deleted.")
        self.at.numbers.discard(number)
        self.at.number = None if self.at.number == number else self.at.number
        return remove_folder(self.at.folder / f"run_{number}", "server")

    async def staged(self, folder: str) -> str:
        if folder not in self.at.packages:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        return f"/ws/startup/../transfer/{folder}"

    async def transfer(self) -> str:
        return "/ws/startup/../transfer"

    async def files(self, path: str, digests: bool) -> list[FileLine]:
        return files_at(self.at.folder, path, digests)

    async def deploy_server(self, folder: str) -> None:
        await self.deploy_client(folder, "server")

    async def deploy_client(self, folder: str, client: str) -> None:
        if self.at.number is None:
            raise Conflict("Please set a run number.")
        await self.staged(folder)
        self.at.reach(client)
        self.at.deployed[self.at.number, client] = folder


@dataclass
class MemoryRuns:
    at: MemoryDesk

    async def current(self) -> RunLine | None:
        return self.at.under_way() or (self.at.known_runs[-1] if self.at.known_runs else None)

    async def get(self, run: int) -> RunLine:
        if not 1 <= run <= len(self.at.known_runs):
            raise NotFound(f"there is no run {run}", hint="list_runs shows what there is")
        return self.at.known_runs[run - 1]

    async def listed(self) -> list[RunLine]:
        return self.at.known_runs[::-1]

    async def waiting(self) -> WaitingLine | None:
        return self.at.waits

    async def start(self, when_busy: WhenBusy) -> int:
        if self.at.number is None:
            raise Conflict("Please set a run number.")
        if (self.at.number, "server") not in self.at.deployed:
            raise Conflict("The server's MMAR does not exist. Please deploy it before start server.")
        self._see_free(when_busy)
        return self.at.add_run(number=self.at.number)

    async def start_client(self, client: str, gpus: int = 0) -> None:
        run = self.at.under_way()
        if run is None:
            raise Conflict("Server training has not started.")
        if (run.number, client) not in self.at.deployed:
            raise Conflict(f"mmar_{client} does not exist. Please deploy it before start client.")
        if self.at.present[client].status == "training started":
            raise Conflict("Client already in training.")
        self.at.reach(client)
        self.at.present[client] = replace(self.at.present[client], status="training started")
        self.at.gpus[client] = gpus

    async def abort_client(self, client: str) -> None:
        if self.at.present[client].status != "training started":
            fresh = self.at.present[client].status == "training not started"
            raise Conflict(f"Client training has {'not started' if fresh else 'already stopped'}.")
        self.at.present[client] = replace(self.at.present[client], status="training stopped")

    async def abort(self, run: int | None) -> int:
        found = self.at.under_way() if run is None else await self.get(run)
        if found is None or found.state not in OPEN:
            stopped = "already stopped" if self.at.known_runs else "not started"
            raise Conflict(f"Server training has {stopped}." if run is None else f"run {run} is not open")
        error = {"error": f"aborted by {self.at.user}", "site": ""}
        self.at.known_runs[found.id - 1] = replace(found, state="aborted", error=error)
        return found.id

    async def submit(self, folder: str, when_busy: WhenBusy) -> int:
        await self.at.folders.staged(folder)
        self._see_free(when_busy)
        return self.at.add_run("submitted", name=folder, number=len(self.at.known_runs) + 1)

    def _see_free(self, when_busy: WhenBusy) -> None:
        if self.at.under_way() and when_busy == "refuse":
            raise Conflict("Server training has already been started.")

    async def models(self, run: int) -> list[Mapping[str, Any]]:
        return self.at.versions.get(run, [])

    async def crossed(self, run: int) -> list[Mapping[str, Any]]:
        return self.at.matrix

    async def metrics(self, run: int) -> list[Mapping[str, Any]]:
        return self.at.scalars.get(run, [])


@dataclass
class MemoryHouse:
    at: MemoryDesk
    project: str = "study"

    def authz(self, question: str, words: Sequence[str]) -> Table:
        found = preview.answer(project1(), question, words)
        return Table(list(found.head), [list(row) for row in found.rows])

    async def stop(self) -> None:
        if self.at.present:
            raise Conflict("There are still active clients. Shutdown all clients first.")
        self.at.stopped = True

    async def restart(self) -> None:
        self.at.restarted = True

    async def timeout(self) -> float:
        return self.at.timeout

    async def set_timeout(self, seconds: float) -> None:
        self.at.timeout = seconds


def typed(desk: seam.Desk, line: str) -> list[Row]:
    """All that the command answers to a typed line, by the same way as a console's."""
    name, *args = seam.split(line)
    module = seam.find(name)
    options = seam.parse(module, args)

    async def answers() -> list[Row]:
        return [row async for row in module.run(desk, options)]

    return asyncio.run(answers())


def started(desk: MemoryDesk) -> MemoryDesk:
    """Clara's way from a staged job to a training client ``a``."""
    for line in ("set_run_number 1", "deploy job server", "deploy job client", "start server", "start client a"):
        typed(desk, line)
    return desk


def texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Text)]


def problems(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row.site, row.error, row.code) for row in rows if isinstance(row, Problem)]


def table(rows: list[Row]) -> Table:
    (found,) = (row for row in rows if isinstance(row, Table))
    return found
