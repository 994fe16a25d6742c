"""How long a run stands still when its server is killed (kill -9) and started again at once.

``python -m benchmarks.recovery [--times 10]`` prints one JSON line. Two clients train a model that costs nothing;
the time is from the kill until the first update is accepted by the new server, minus what the same step takes
undisturbed (the median gap between accepted updates before the kill is printed beside it).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import statistics
import tempfile
import time
from pathlib import Path

from rondo.console.session import log_in
from rondo.simulator.local import SERVER, Layout, federation

VERSION = importlib.metadata.version("rondo-fl")
JOB = """
name = "idle"
[server]
min_clients = 2
num_rounds = 100000
seed = "recovery"
[model]
function = "idle:new_model"
[client]
trainer = { name = "function", class = "idle:Idle" }
"""
CODE = """
import numpy as np
import rondo


def new_model():
    return {"w": np.zeros(256, np.float32)}


class Idle:
    def __init__(self, site):
        pass

    def train(self, model, task):
        return rondo.Update({"w": model["w"] + 1}, samples=1)
"""


async def measure(times: int, folder: Path) -> dict[str, object]:
    """Kill the server ``times`` times; seconds from each kill to the first update that the next one accepts."""
    job = folder / "idle"
    job.mkdir()
    (job / "job.toml").write_text(JOB)
    (job / "idle.py").write_text(CODE)
    gaps: list[float] = []
    down: list[float] = []
    async with (
        federation(folder / "sites", Layout({"a": None, "b": None})) as made,
        log_in(made.admin_kit, VERSION, patience=60.0) as session,
    ):
        run = await session.submit(job)
        accepted = killed = 0.0
        quiet = 0
        async for event in session.watch(run):
            if event.kind != "update_accepted" or event.at < killed:  # accepted before the kill, told after it
                continue
            if killed:
                down.append(event.at - killed)
                killed, quiet = 0.0, 0
                if len(down) == times:
                    break
            elif accepted:
                gaps.append(event.at - accepted)
            accepted = event.at
            quiet += 1
            if quiet == 20:  # ten rounds between two kills
                killed = time.time()
                await made.kill(SERVER)
                await made.start(SERVER)
    return {
        "times": times,
        "median_seconds": round(statistics.median(down), 3),
        "min_seconds": round(min(down), 3),
        "max_seconds": round(max(down), 3),
        "median_gap_undisturbed": round(statistics.median(gaps), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(parser.parse_args().times, Path(folder)))))


if __name__ == "__main__":
    main()
