"""A whole federation for a test: real kits, real processes, and a way to wait for what happens (never for time)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from rondo.console.session import AdminSession, RunEvent, log_in
from rondo.simulator.local import ADMIN, RONDO, SERVER, Federation, Layout
from tests.ports import free_port

LONG = 60.0  # seconds after which a test says what it was waiting for

NUMPY_JOB = '''
import os
import numpy as np
import rondo


def new_model(count=1000):
    return {"w": np.zeros(count, np.float32), "n": np.array(0, np.int64)}


class Clinic:
    """Adds seeded noise: equal seeds give equal bits. Where a file ``hold-SITE-ROUND`` (a FIFO made by the test)
    lies in the run's folder, training waits until the test opens it for writing."""

    def __init__(self, site, **options):
        self.site, self.options = site, options

    def train(self, model, task):
        print(f"training round {task.round} at {self.site.name}", flush=True)
        fifo = self.site.data and self.site.data / f"hold-{task.round}"
        if fifo and fifo.exists():
            (self.site.data / f"reached-{task.round}").touch()
            open(fifo).close()
        noise = np.random.default_rng(task.seed).normal(size=model["w"].shape).astype(np.float32)
        samples = 10.0 + len(self.site.name)
        return rondo.Update({"w": model["w"] + noise, "n": model["n"] + 1}, samples, local_metrics={"loss": 1.0})

    def validate(self, model, task):
        return 10.0, {"mean": float(model["w"].mean())}
'''


def write_job(folder: Path, *, code: str = NUMPY_JOB, toml: str = "", **server: Any) -> Path:
    """A job folder. ``server``: keys of [server]; ``toml``: what replaces [model] and [client]."""
    settings = {"min_clients": 2, "num_rounds": 3, "wait_after_min_clients": 5, "seed": "test", **server}
    lines = [
        f'name = "{folder.name}"',
        "[server]",
        *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
    ]
    rest = (
        toml
        or '[model]\nfunction = "work:new_model"\n[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.toml").write_text("\n".join([*lines, rest]))
    (folder / "work.py").write_text(code)
    return folder


class World(Federation):
    """A federation, with questions to its server."""

    session: AdminSession

    def __init__(self, folder: Path, layout: Layout) -> None:
        super().__init__(folder, layout)
        self.sessions = AsyncExitStack()

    async def until(self, kind: str, run: int = 0, after: int = 0, count: int = 1, **data: Any) -> RunEvent:
        """The ``count``-th event of this kind (with these data) after event number ``after``; fails after LONG."""
        seen: list[str] = []
        try:
            async with asyncio.timeout(LONG), aclosing(self.session.watch(run, after)) as events:
                async for event in events:
                    seen.append(f"{event.kind} {event.data}")
                    if event.kind == kind and all(event.data.get(key) == value for key, value in data.items()):
                        count -= 1
                        if count == 0:
                            return event
        except TimeoutError:
            pass
        told = "\n".join(seen[-30:])
        raise AssertionError(f"no {kind} {data}; events:\n{told}\nserver:\n{self.output(SERVER)[-3000:]}")

    async def wait(self, name: str) -> int:
        """The exit code of a process that is to end by itself; fails after LONG."""
        try:
            async with asyncio.timeout(LONG):
                return await super().wait(name)
        except TimeoutError:
            raise AssertionError(f"{name} does not end:\n{self.output(name)[-3000:]}") from None

    async def ended(self, run: int) -> list[RunEvent]:
        """Every event of the run, once it has ended."""
        events: list[RunEvent] = []
        try:
            async with asyncio.timeout(LONG), aclosing(self.session.watch(run)) as stream:
                async for event in stream:
                    events.append(event)
        except TimeoutError:
            told = "\n".join(f"{event.kind} {event.data}" for event in events[-30:])
            outputs = "\n".join(f"--- {name}\n{self.output(name)[-3000:]}" for name in self.workspaces)
            raise AssertionError(f"run {run} does not end:\n{told}\n{outputs}") from None
        return events

    async def run(self, folder: Path) -> tuple[int, list[RunEvent]]:
        """Submit, and wait for the end."""
        run = await self.session.submit(folder)
        return run, await self.ended(run)

    async def digest(self, run: int, version: int) -> str:
        """Of that version of the run's global model."""
        models = (await self.session.facts("list_models", str(run)))["models"]
        return next(str(model["digest"]) for model in models if model["version"] == version)

    async def admin(self, command: str) -> tuple[int, dict[str, Any]]:
        """``rondo admin KIT -c COMMAND --format json`` as a process: exit code and answer."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rondo", "admin", str(self.workspaces[ADMIN])),
            *("-c", command, "--yes", "--format", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert out.strip(), err.decode()
        return process.returncode or 0, json.loads(out)

    def let_look(self, *clients: str) -> None:
        """These sites let admins look around in their workspaces."""
        for client in clients:
            (self.workspaces[client] / "site_policy.toml").write_text("[commands]\nshell = true\n")

    async def last_event(self) -> int:
        """The number of the newest event."""
        return max([event.number async for event in self.session.watch(follow=False)], default=0)

    async def logged_in(self, *clients: str) -> None:
        """Until all of these clients are logged in."""
        for client in clients:
            await self.until("client_joined", client=client)

    async def log_in(self) -> None:
        """A new session with the server (again, after it was started again)."""
        await self.sessions.aclose()
        self.session = await self.sessions.enter_async_context(log_in(self.admin_kit, "test", LONG))


@asynccontextmanager
async def world(
    folder: Path,
    clients: Mapping[str, Path | None],
    command: Mapping[str, Sequence[str]] | None = None,
    absent: Collection[str] = (),
    **layout: Any,
) -> AsyncIterator[World]:
    """Everything started and logged in; stopped at the end. ``command``: how a process is started at first;
    ``absent``: clients who have a kit but are not started yet."""
    made = World(folder, Layout(clients, port=free_port(), **layout))
    here = [name for name in clients if name not in absent]
    try:
        for name in (SERVER, *here):
            await made.start(name, command=(command or {}).get(name, RONDO))
        await made.log_in()
        await made.logged_in(*here)
        yield made
    finally:
        await made.sessions.aclose()
        await made.stop_all()
