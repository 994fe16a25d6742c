"""How long it takes from an admin's abort until no training process is left.

``python -m benchmarks.abort [--times 10] [--clients 4]`` prints one JSON line. Every client trains in a program that
takes no notice of anything (a loop in C, which holds the interpreter, and a child of its own); the time is from the
moment when the command is given until the last process that any client had started is gone, as the system tells it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks._world import VERSION, program, write_job
from benchmarks.peaks import descendants
from rondo.console.session import AdminSession, log_in
from rondo.simulator.local import Federation, Layout, federation

STUBBORN = """
import re
import subprocess
import numpy as np


def new_model(count):
    return {"w": np.zeros(count, np.float32)}


class Adds:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        subprocess.Popen(["sleep", "600"])
        open(self.site.data, "wb").close()  # a FIFO: whoever measures waits for it
        re.match("(a|a)*b", "a" * 60)  # for longer than anybody lives
"""


async def gone(pids: Iterable[int]) -> None:
    """Until every one of these processes has ended."""
    loop = asyncio.get_running_loop()
    waits = []
    for pid in pids:
        descriptor, over = os.pidfd_open(pid), asyncio.Event()
        loop.add_reader(descriptor, over.set)
        waits.append((descriptor, over))
    for descriptor, over in waits:
        await over.wait()
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def once(made: Federation, session: AdminSession, job: Path, fifos: Iterable[Path]) -> float:
    """Seconds of one abort."""
    run = await session.submit(job)
    await asyncio.gather(*(asyncio.to_thread(fifo.read_bytes) for fifo in fifos))
    working = [pid for name in made.layout.clients for pid in descendants(made.pid(name))]
    ending = asyncio.create_task(gone(working))
    await asyncio.sleep(0)  # it watches now
    began = time.monotonic()
    await session.facts("abort_run", str(run))
    await ending
    return time.monotonic() - began


async def measure(times: int, clients: int, folder: Path) -> dict[str, object]:
    """Abort ``times`` runs of so many clients, one after the other."""
    job = write_job(folder / "stubborn", 0.001, STUBBORN, min_clients=clients, num_rounds=1)
    fifos = {f"site-{number}": folder / f"fifo-{number}" for number in range(clients)}
    for fifo in fifos.values():
        os.mkfifo(fifo)
    async with (
        federation(folder / "sites", Layout(dict(fifos))) as made,
        log_in(made.admin_kit, VERSION, patience=60.0) as session,
    ):
        await session.facts("check_status", "server")
        took = [await once(made, session, job, fifos.values()) for _ in range(times)]
    return {
        "clients": clients,
        "times": times,
        "abort_seconds": {"median": round(statistics.median(took), 3), "max": round(max(took), 3)},
    }


def main() -> None:
    """Parse, measure, print."""
    program(__doc__, measure, times=10, clients=4)


if __name__ == "__main__":
    main()
