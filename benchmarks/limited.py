"""A model far bigger than the memory that the server may have.

``python -m benchmarks.limited [--model-mb 2000] [--limit-mb 400] [--clients 2] [--rounds 1]`` prints one JSON line.
From its start on, the server and every process that it starts (the worker that makes the first model, the one that
folds) may hold ``limit_mb`` of private memory each: RLIMIT_DATA of Linux, which counts heap, anonymous maps and thread
stacks at their full size, touched or not, and fails the next allocation. Mapped files are not counted: their pages are
the system's, which takes them back when it likes. ``*_peak_mb`` is what was resident at most (VmHWM; of the server's
workers the one that folds, with its keeper). ``correct``: every number of the last model is the right one.

Needs some 8 times the model of free disk in the temporary folder.
"""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path
from typing import Any

from benchmarks._world import VERSION, memory, program, write_job
from benchmarks.peaks import descendants
from rondo.console.session import RunEvent, log_in, outcome
from rondo.simulator.local import SERVER, Federation, Layout
from rondo.tensors.files import TensorFile


async def measure(megabytes: float, limit: int, clients: int, rounds: int, folder: Path) -> dict[str, Any]:
    job = write_job(folder / "adds", megabytes, min_clients=clients, num_rounds=rounds)
    names = [f"site-{number}" for number in range(clients)]
    made = Federation(folder / "sites", Layout(dict.fromkeys(names)))
    try:
        await made.start(SERVER)
        resource.prlimit(made.pid(SERVER), resource.RLIMIT_DATA, (limit * 10**6, limit * 10**6))
        for name in names:
            await made.start(name)
        began = time.monotonic()
        async with log_in(made.admin_kit, VERSION, patience=60.0) as session:
            run = await session.submit(job)
            last: RunEvent | None = None
            async for event in session.watch(run):
                last = event
                if event.kind == "round_committed":
                    workers = [memory(pid, "VmHWM") for pid in descendants(made.pid(SERVER))]
            assert last is not None
            outcome(last)
        return {
            "model_mb": megabytes,
            "limit_mb": limit,
            "clients": clients,
            "rounds": rounds,
            "seconds": round(time.monotonic() - began, 1),
            "server_peak_mb": round(memory(made.pid(SERVER), "VmHWM"), 1),
            "server_worker_peak_mb": round(sum(workers), 1),
            "client_peak_mb": round(max(memory(made.pid(name), "VmHWM") for name in names), 1),
            "correct": await asyncio.to_thread(all_are, made.workspaces[SERVER], rounds),
        }
    finally:
        await made.stop_all()


def all_are(server: Path, value: float) -> bool:
    """Is every number of the server's last model this one?"""
    (path,) = server.glob("run_*/mmar_server/models/FL_global_model.safetensors")
    with TensorFile(path) as model:
        return all(bool((array == value).all()) for array in model.values())


def main() -> None:
    """Parse, measure, print."""
    program(__doc__, measure, model_mb=2000.0, limit_mb=400, clients=2, rounds=1)


if __name__ == "__main__":
    main()
