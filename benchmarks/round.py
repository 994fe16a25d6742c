"""Seconds a round and peak memory by role, for a model of any size.

``python -m benchmarks.round --model-mb 64 --clients 4 --rounds 5`` prints one JSON line. The model is 20 float32
arrays; "training" adds a constant that differs by client, so that the right mean is known. Server and clients are
processes with mutual TLS over loopback. Peak memory is the sum of VmHWM over the processes of a role; the worker
that trains is not counted as the client's, it holds the user's own model.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rondo.console.session import AdminSession, log_in, outcome
from rondo.simulator.local import SERVER, Federation, Layout, federation
from rondo.tensors.files import TensorFile

VERSION = importlib.metadata.version("rondo-fl")
ARRAYS = 20
CODE = """
import numpy as np
import rondo


def new_model(count):
    return {f"layer{n:02}": np.zeros(count, np.float32) for n in range(20)}


class Adds:
    def __init__(self, site):
        self.constant = np.float32(int(site.name.removeprefix("site-")) + 1)

    def train(self, model, task):
        return rondo.Update({name: model[name] + self.constant for name in model}, samples=1)
"""
JOB = """
name = "adds"
[server]
min_clients = {clients}
num_rounds = {rounds}
seed = "bench"
final_validation = false
[model]
function = "adds:new_model"
args = {{ count = {count} }}
[client]
trainer = {{ name = "function", class = "adds:Adds" }}
"""


def peak_mb(pid: int) -> float:
    """VmHWM of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def descendants(pid: int) -> list[int]:
    """Processes below ``pid``, not itself."""
    below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return below + [deeper for child in below for deeper in descendants(child)]


async def measure(megabytes: float, clients: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Run it, and say how long a round took and what it needed."""
    count = max(1, int(megabytes * 1e6 / 4 / ARRAYS))
    job = folder / "adds"
    job.mkdir()
    (job / "adds.py").write_text(CODE)
    (job / "job.toml").write_text(JOB.format(clients=clients, rounds=rounds, count=count))
    names = [f"site-{number}" for number in range(clients)]
    async with (
        federation(folder / "sites", Layout(dict.fromkeys(names))) as made,
        log_in(made.admin_kit, VERSION, patience=60.0) as session,
    ):
        run = await session.submit(job)
        seconds, peaks = await _follow(made, session, run)
        entry = await session.model(run, "last", folder / "last.safetensors")
    expected = rounds * sum(range(1, clients + 1)) / clients
    with TensorFile(folder / "last.safetensors") as file:
        correct = all(bool(np.allclose(array, expected, rtol=1e-5)) for array in file.values())
    return {
        "system": "rondo",
        "model_mb": megabytes,
        "clients": clients,
        "rounds": rounds,
        "seconds_per_round": round(statistics.median(seconds), 4),
        "server_peak_mb": round(peaks[SERVER], 1),
        "client_peak_mb": round(max(peaks[name] for name in names), 1),
        "bytes_moved": 2 * clients * rounds * int(entry["size"]),
        "correct": correct,
    }


async def _follow(made: Federation, session: AdminSession, run: int) -> tuple[list[float], dict[str, float]]:
    """Seconds between commits, and the peak memory of each role (the server's with its worker)."""
    commits: list[float] = []
    peaks: dict[str, float] = {}
    async for event in session.watch(run):
        if event.kind == "round_opened" and not commits:
            commits.append(event.at)
        if event.kind == "round_committed":
            commits.append(event.at)
            server = made.pid(SERVER)
            peaks[SERVER] = peak_mb(server) + sum(peak_mb(pid) for pid in descendants(server))
            peaks |= {name: peak_mb(made.pid(name)) for name in made.layout.clients}
        last = event
    outcome(last)
    return [after - before for before, after in itertools.pairwise(commits)], peaks


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-mb", type=float, default=64.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(chosen.model_mb, chosen.clients, chosen.rounds, Path(folder)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
