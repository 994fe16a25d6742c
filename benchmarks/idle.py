"""Idle clients of one server process, over real mutual TLS: what each costs, and is control quick beside bulk?

``python -m benchmarks.idle [--clients 2000] [--model-mb 2000] [--helpers 4]`` prints one JSON line. The idle clients
are logged in, each with a certificate and a connection of its own and a waiting call (``benchmarks._idlers``: many in
one process). ``kb_each`` is what the server's resident memory grew by for each of them; ``connect_cpu_ms`` what it
computed for each to connect and log in; ``idle_cpu_percent`` what it computes while nothing happens, of one core. Then
one real client trains a round with a model of ``model_mb``, down and up, while an admin asks ``check_status`` again and
again, of the server and of all clients in turn; percentiles in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks._world import VERSION, memory, program, write_job
from benchmarks.peaks import cpu_seconds
from rondo.console.session import AdminSession, log_in, outcome
from rondo.pki.certificates import Role
from rondo.provision.state import opened
from rondo.simulator.local import SERVER, Federation, Layout, federation

MOVER = "mover"
QUIET = 10.0  # seconds over which the server is watched doing nothing


def write_keys(made: Federation, clients: int, helpers: int) -> list[Path]:
    """A file for each helper: certificates made with the authority of the project that was just provisioned."""
    kit, now, paths = made.admin_kit, time.time(), []
    with opened(made.folder / "state", kit.project, now, create=False) as state:
        for first in range(helpers):
            names = [f"idle-{number}" for number in range(first, clients, helpers)]
            issued = {name: state.authority.issue(Role.CLIENT, name, "hub", now) for name in names}
            keys = {name: (one.cert_pem.decode(), one.key_pem.decode()) for name, one in issued.items()}
            about = {"host": kit.host, "port": kit.port, "ca": kit.ca_pem.decode(), "project": kit.project}
            paths.append(made.folder / f"keys-{first}.json")
            paths[-1].write_text(json.dumps({**about, "clients": keys}))
    return paths


@asynccontextmanager
async def idling(files: Sequence[Path]) -> AsyncIterator[None]:
    """The helper processes; entered when all of their clients wait."""
    helpers: list[Process] = []
    try:
        for file in files:
            command = (sys.executable, "-m", "benchmarks._idlers", str(file))
            helpers.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))
        for helper in helpers:
            assert helper.stdout is not None
            if await helper.stdout.readline() != b"ready\n":
                raise RuntimeError("a helper could not log all of its clients in")
        yield
    finally:
        for helper in helpers:
            if helper.returncode is None:
                helper.kill()
            await helper.wait()


async def start_run(session: AdminSession, job: Path) -> int:
    """Clara's way: only the client named takes part. Returns the run's id."""
    for command in (
        ("upload_folder", str(job)), ("set_run_number", "1"), ("deploy", job.name, "server"),
        ("deploy", job.name, "client", MOVER),
    ):  # fmt: skip
        await session.facts(*command)
    run = int((await session.facts("start", "server"))["run"])
    await session.facts("start", "client", MOVER)
    return run


async def ask_meanwhile(session: AdminSession, run: int) -> dict[str, list[float]]:
    """Milliseconds of each ``check_status`` from the moment when the round is open until its update is there."""
    took: dict[str, list[float]] = {"server": [], "client": []}

    async def ask() -> None:
        while True:
            for target, times in took.items():
                began = time.perf_counter()
                await session.facts("check_status", target)
                times.append(1000 * (time.perf_counter() - began))

    asking: asyncio.Task[None] | None = None
    async for event in session.watch(run):
        if event.kind == "round_opened":
            asking = asyncio.create_task(ask())
        if event.kind == "update_accepted" and asking is not None:
            asking.cancel()
        last = event
    outcome(last)
    return took


def percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "count": len(ordered),
        **{f"p{share}": round(ordered[(len(ordered) - 1) * share // 100], 1) for share in (50, 99)},
        "max": round(ordered[-1], 1),
    }


async def measure(clients: int, megabytes: float, helpers: int, folder: Path) -> dict[str, Any]:
    job = write_job(folder / "adds", megabytes, min_clients=1, num_rounds=1)
    async with (
        federation(folder / "sites", Layout({MOVER: None}, server={"max_num_clients": clients + 1})) as made,
        log_in(made.admin_kit, VERSION, patience=60.0) as session,
    ):
        server = made.pid(SERVER)
        files = await asyncio.to_thread(write_keys, made, clients, helpers)
        await session.facts("check_status", "all")  # what is loaded once; the mover may not be here yet
        before, used, began = memory(server, "VmRSS"), cpu_seconds(server), time.monotonic()
        async with idling(files):
            connected = time.monotonic() - began
            after, used_after = memory(server, "VmRSS"), cpu_seconds(server)
            await asyncio.sleep(QUIET)
            idle_cpu = cpu_seconds(server) - used_after
            run = await start_run(session, job)
            took = await ask_meanwhile(session, run)
            there = len((await session.facts("check_status", "client"))["clients"])
            assert there == clients + 1, f"{there} clients are logged in"
            return {
                "clients": clients,
                "kb_each": round((after - before) * 1024 / clients, 1),
                "server_mb": {"alone": before, "with_idle": after, "most": memory(server, "VmHWM")},
                "connect_seconds": round(connected, 1),
                "connect_cpu_ms": round(1000 * (used_after - used) / clients, 2),
                "idle_cpu_percent": round(100 * idle_cpu / QUIET, 1),
                "moved_mb": 2 * megabytes,
                "check_status_ms": {target: percentiles(times) for target, times in took.items()},
            }


def main() -> None:
    """Parse, measure, print."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection is a file, here and in the processes below
    program(__doc__, measure, clients=2000, model_mb=2000.0, helpers=4)


if __name__ == "__main__":
    main()
