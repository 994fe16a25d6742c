"""Server and clients as processes of this machine, from kits that are provisioned for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rondo.base.clock import Clock, SystemClock
from rondo.base.errors import MachineFault
from rondo.net.kits import load_kit
from rondo.pki.kit import Kit
from rondo.provision.issue import Order, provision
from rondo.provision.project import make_project
from rondo.provision.unpack import open_zip

ADMIN = "lead@rondo.demo"
SERVER = "server"
PATIENCE = 10.0  # seconds a process may take to stop before it is killed
RONDO = (sys.executable, "-m", "rondo")


@dataclass(frozen=True)
class Layout:
    """What the federation consists of: ``clients`` by name with the data each may see. ``project`` and ``server``
    are laid over the project file and its server part. ``port`` 0: any free one. ``authz``: who may do what, as in an
    authorization.json, where the server part says ``auth``."""

    clients: Mapping[str, Path | None]
    port: int = 0
    project: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    authz: Mapping[str, Any] | None = None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def project_file(layout: Layout, port: int) -> dict[str, Any]:
    """The project file (spec 2.2) of this layout."""
    server = {"org": "hub", "cn": "localhost", "fed_learn_port": port, "admin_port": port, "auth": False}
    return {
        "name": "demo",
        "config_folder": "config",
        "server": {**server, **layout.server},
        "fl_clients": [{"org": name, "client_name": name} for name in layout.clients],
        "admin_clients": [{"org": "hub", "email": ADMIN}],
        **layout.project,
    }


def make_kits(folder: Path, layout: Layout, clock: Clock) -> dict[str, Path]:
    """Provision and open a kit for everybody; workspaces by name (``SERVER``, ``ADMIN``, the clients)."""
    project = project_file(layout, layout.port or free_port())
    order = Order(make_project(project, "the demo's project"), folder / "kits", folder / "state", layout.authz)
    workspaces = {}
    for made in provision(order, clock.now()).made:
        name = SERVER if made.participant.name == "localhost" else made.participant.name
        workspaces[name] = open_zip(made.path, folder / name, made.password).workspace
    return workspaces


class Federation:
    """The processes. ``kill`` is kill -9; ``start`` starts what does not run, from the same workspace."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder = folder
        self.layout = layout
        self.workspaces = make_kits(folder, layout, SystemClock())
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    @property
    def admin_kit(self) -> Kit:
        return load_kit(self.workspaces[ADMIN], SystemClock().now())

    def output(self, name: str) -> str:
        """What this process printed, over all its lives."""
        path = self.folder / f"{name}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    async def start(
        self, name: str, *more: str, command: Sequence[str] = RONDO, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the server or a client; ``more`` are further arguments of its command."""
        role = "server" if name == SERVER else "client"
        data = self.layout.clients.get(name)
        args = [*command, role, "start", str(self.workspaces[name]), *(["--data", str(data)] if data else []), *more]
        with (self.folder / f"{name}.out").open("ab") as out:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *args, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(env or {})}
            )

    async def wait(self, name: str) -> int:
        """The exit code, once the process has ended."""
        return await self._processes[name].wait()

    async def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        process = self._processes[name]
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()

    async def stop(self, name: str) -> int:
        """SIGTERM, then the exit code. Raises ``MachineFault`` for a process that does not stop (it is killed)."""
        process = self._processes[name]
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                return await process.wait()
        except TimeoutError:
            await self.kill(name)
            raise MachineFault(f"{name} did not stop within {PATIENCE:g} s", detail=self.output(name)[-4000:]) from None

    async def stop_all(self) -> None:
        """Clients first, so that they can say goodbye. All are stopped; raises for the first that had to be killed."""
        names = [name for name in self._processes if name != SERVER]
        ended = await asyncio.gather(*(self.stop(name) for name in names), return_exceptions=True)
        if SERVER in self._processes:
            ended += await asyncio.gather(self.stop(SERVER), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one


@asynccontextmanager
async def federation(folder: Path, layout: Layout) -> AsyncIterator[Federation]:
    """Everything started: server first, then the clients (who would wait for it in any case). Stopped at the end."""
    made = Federation(folder, layout)
    try:
        await made.start(SERVER)
        for name in layout.clients:
            await made.start(name)
        yield made
    finally:
        await made.stop_all()
