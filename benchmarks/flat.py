"""Does anything grow with the number of rounds? Memory of every role, the ledger on disk, and the time of a round.

``python -m benchmarks.flat [--rounds 1000] [--model-mb 1] [--clients 4]`` prints one JSON line. ``samples`` has, after
50 rounds and then at every doubling and at the end: the resident memory of each role in MiB (``anon``: without mapped
files, which is what a program itself holds), the ledger with its log in KiB, and the median milliseconds of the rounds
since the sample before. Memory is the median of nine rounds' ends, up to that one: at any of them chunks of the next
round may be on their way already. ``growth`` compares the last sample with the first.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._world import VERSION, roles, total, write_job
from rondo.console.session import RunEvent, log_in, outcome
from rondo.simulator.local import SERVER, Federation, Layout, federation

FIRST = 50  # rounds after which all is warm
LOOKS = 9  # at memory for one sample, a round apart


def points(rounds: int) -> list[int]:
    """After which rounds a sample is taken."""
    doubled = itertools.takewhile(lambda point: point < rounds, (FIRST << power for power in itertools.count()))
    return [*doubled, rounds]


def look(made: Federation) -> dict[str, float]:
    """What each role holds now."""
    found = roles(made).items()
    resident = {role: total(pids, "VmRSS") for role, pids in found}
    return resident | {f"{role}_anon": total(pids, "RssAnon") for role, pids in found}


def sample(made: Federation, done: int, seconds: Sequence[float], looks: Sequence[dict[str, float]]) -> dict[str, Any]:
    """How things stand after ``done`` rounds, the last of which took ``seconds``."""
    ledger = made.workspaces[SERVER].glob("ledger.db*")
    return {
        "rounds": done,
        "round_ms": round(1000 * statistics.median(seconds), 1),
        **{name: statistics.median(one[name] for one in looks) for name in looks[0]},
        "ledger_kib": sum(path.stat().st_size for path in ledger) >> 10,
    }


def growth(first: dict[str, Any], last: dict[str, Any]) -> dict[str, float]:
    """Percent by which each figure of the first sample has grown."""
    names = [name for name in first if name != "rounds"]
    return {name: round(100 * (last[name] / first[name] - 1), 1) for name in names}


async def measure(megabytes: float, clients: int, rounds: int, folder: Path) -> dict[str, Any]:
    # One round more: every sample is of a run under way.
    job = write_job(folder / "adds", megabytes, min_clients=clients, num_rounds=rounds + 1)
    layout = Layout({f"site-{number}": None for number in range(clients)})
    wanted, samples = points(rounds), []
    async with federation(folder / "sites", layout) as made, log_in(made.admin_kit, VERSION, patience=60.0) as session:
        run = await session.submit(job)
        seconds: list[float] = []
        looks: list[dict[str, float]] = []
        last: RunEvent | None = None
        async for event in session.watch(run):
            last = event
            if event.kind == "round_committed":
                seconds.append(float(event.data["seconds"]))
                done = event.data["round"] + 1
                if any(point - LOOKS < done <= point for point in wanted):
                    looks.append(look(made))
                if done in wanted:
                    samples.append(sample(made, done, seconds, looks))
                    seconds, looks = [], []
        assert last is not None
        outcome(last)
    return {
        "model_mb": megabytes,
        "clients": clients,
        "rounds": rounds,
        "samples": samples,
        "growth": growth(samples[0], samples[-1]),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--model-mb", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=4)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(chosen.model_mb, chosen.clients, chosen.rounds, Path(folder)))))


if __name__ == "__main__":
    main()
