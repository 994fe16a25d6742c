"""How fast the server's worker folds updates, for each aggregation rule.

``python -m benchmarks.fold [--model-mib 64] [--sites 8] [--times 3] [RULE ...]`` prints one JSON line for each rule.
The worker is the real one: it reads the spooled updates, looks for what is not finite, reduces in float64, digests and
writes the next model, and what the rule remembers. The files have been read before, as updates have that just arrived,
and the result is made of a file that nobody needs any more, as in a run.

``gib_per_second``: GiB of updates for each second of one processor core that the worker takes, held on one core.
``gib_per_second_wall``: for each second that passes, on all cores (``threads``); a busy machine makes it less.
``worker_peak_mib``: VmHWM of the worker and its keeper, on all cores. Each figure is the median of three workers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peaks
from rondo.base.rooms import names
from rondo.base.spare import give_up
from rondo.tensors.files import write_tensors
from rondo.worker.host import Worker, WorkerSpec, open_worker
from rondo.worker.threads import worth

ARRAYS = 20
ROOM = "rondo.aggregate"


def write_updates(folder: Path, mib: float, sites: int) -> dict[str, Any]:
    """A base model and an update of every site, random float32; the part of a request that names them."""
    elements = max(1, int(mib * (1 << 20)) // 4 // ARRAYS)

    def write(name: str, seed: int) -> str:
        random = np.random.default_rng(seed)
        model = {f"layer{n:02}": random.standard_normal(elements, dtype=np.float32) for n in range(ARRAYS)}
        return str(write_tensors(folder / name, model).path)

    updates = [
        {"site": f"site-{n:03}", "path": write(f"site-{n:03}", n), "kind": "weights", "omitted": [], "weight": 10.0 + n}
        for n in range(1, sites + 1)
    ]
    return {"do": "fold", "base": write("base", 0), "contributions": updates}


def processor_seconds(worker: Worker) -> float:
    """What all processes of the worker have taken until now."""
    taken = 0
    for pid in (worker.pid, *peaks.descendants(worker.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        taken += int(fields[11]) + int(fields[12])
    return taken / peaks.TICK


async def folds(request: dict[str, Any], times: int, folder: Path) -> tuple[float, float, float]:
    """Processor seconds and seconds of one fold (means of ``times``), and the worker's peak in MiB."""
    spec = WorkerSpec("fold", log=folder / "worker.log", tag="fold")
    memory = {"memory": "", "memory_out": str(folder / "memory")}
    async with open_worker(spec) as worker:
        await worker.ask({"do": "open", "kind": "fold"})
        await worker.ask({**request, **memory})
        before, begun = processor_seconds(worker), time.perf_counter()
        for number in range(times):
            give_up(Path(request["out"]))
            answer = await worker.ask({**request, **memory})
            if answer["memory"]:  # what one remembers, the next one starts from
                memory = {"memory": answer["memory"]["path"], "memory_out": str(folder / f"memory{number % 2}")}
        taken, passed = processor_seconds(worker) - before, time.perf_counter() - begun
        peak = sum(peaks.status(pid).get("VmHWM", 0) for pid in (worker.pid, *peaks.descendants(worker.pid)))
    return taken / times, passed / times, peak / 1024


def measure(rule: str, mib: float, sites: int, times: int) -> dict[str, Any]:
    """The line of one rule."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = write_updates(folder, mib, sites)
        request |= {"rule": {"name": rule, "options": {}}, "out": str(folder / "out")}
        taken, passed, peak = [], [], 0.0
        for _ in range(3):
            os.sched_setaffinity(0, {min(cores)})
            taken.append(asyncio.run(folds(request, times, folder))[0])
            os.sched_setaffinity(0, cores)
            _, seconds, peak = asyncio.run(folds(request, times, folder))
            passed.append(seconds)
    gib = mib * sites / 1024
    return {
        "rule": rule,
        "sites": sites,
        "model_mib": mib,
        "gib_per_second": round(gib / statistics.median(taken), 2),
        "gib_per_second_wall": round(gib / statistics.median(passed), 2),
        "threads": worth(int(mib * (1 << 20))),
        "worker_peak_mib": round(peak, 1),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", default=names(ROOM))
    parser.add_argument("--model-mib", type=float, default=64.0)
    parser.add_argument("--sites", type=int, default=8)
    parser.add_argument("--times", type=int, default=3)
    chosen = parser.parse_args()
    for rule in chosen.rules:
        print(json.dumps(measure(rule, chosen.model_mib, chosen.sites, chosen.times)))


if __name__ == "__main__":
    main()
