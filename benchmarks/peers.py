"""Rondo beside NVFlare and Flower: the same work on the same machine in the same session, in turn, medians.

``python -m benchmarks.peers [--cases 1x8,64x4] [--systems rondo,nvflare] [--repeat 3]`` runs what is missing in
``benchmarks/results/peers.json``, adds every raw figure to it at once, and prints the table. What was interrupted
goes on where it stopped. Figures of other code or of another machine are not mixed with new ones: the file begins
anew.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import compare, environments, machine

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "peers.json"
MEASURED = ("src/rondo", "benchmarks/systems")
CONTENDERS = ("rondo", "nvflare", "nvflare-best", "flower", "flower-best")
# Rounds of a run by case and system: enough for a median after the first, in a time that somebody waits for.
ROUNDS = {
    "1x8": {"rondo": 20, "nvflare": 6, "flower": 3},
    "64x4": {"rondo": 10, "nvflare": 5, "flower": 3},
    "512x2": {"rondo": 5, "nvflare": 3, "flower": 2},
    "2048x2": {"rondo": 5},
}
ROUNDS_OF_OTHERS = {"rondo": 8, "nvflare": 4, "flower": 3}
QUICK = ("1x2",)
# For the estimate: seconds to start and stop, a client, a round, and a MB moved (2 x clients x MB a round).
COST = {
    "rondo": (4.0, 0.5, 0.1, 0.0015),
    "nvflare": (16.0, 1.0, 2.5, 0.006),
    "nvflare-best": (16.0, 1.0, 0.8, 0.006),
    "flower": (10.0, 1.7, 6.0, 0.018),
    "flower-best": (10.0, 1.7, 5.0, 0.018),
}


@dataclass(frozen=True)
class Planned:
    """One run of ``benchmarks.round``."""

    case: str
    contender: str
    rounds: int

    @property
    def estimate(self) -> float:
        """Seconds on a quiet machine with two cores."""
        megabytes, clients = compare.order(self.case)
        start, client, a_round, moved = COST[self.contender]
        return start + client * clients + self.rounds * (a_round + 2 * clients * megabytes * moved)

    @property
    def limit(self) -> float:
        """Seconds after which it has failed."""
        return 180 + 4 * self.estimate

    def command(self) -> list[str]:
        megabytes, clients = self.case.split("x")
        system, _, tuning = self.contender.partition("-")
        asked = {"system": system, "model-mb": megabytes, "clients": clients, "rounds": self.rounds}
        asked |= {"tuning": tuning or "default", "seconds": f"{self.limit:.0f}"}
        options = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "benchmarks.round", *options]


def plan(cases: Iterable[str], contenders: Iterable[str], repeat: int) -> list[Planned]:
    """Everything once, then everything again: what changes on the machine meanwhile meets all alike."""
    once = [
        Planned(case, contender, rounds)
        for case, contender in itertools.product(cases, contenders)
        if (rounds := ROUNDS.get(case, ROUNDS_OF_OTHERS).get(contender.partition("-")[0]))
    ]
    return once * repeat


def missing(planned: Iterable[Planned], records: Iterable[compare.Record]) -> Iterator[Planned]:
    """What is not among ``records`` yet."""
    have = [(record["case"], compare.contender(record)) for record in records]
    for one in planned:
        if (one.case, one.contender) in have:
            have.remove((one.case, one.contender))
        else:
            yield one


def source() -> str:
    """Names the code that is measured: a digest over Rondo's source and how the systems are started."""
    digest = hashlib.sha256()
    for file in sorted(file for tree in MEASURED for file in (ROOT / tree).rglob("*.py")):
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def session(results: Path, go_on: bool) -> dict[str, Any]:
    """What ``results`` holds, if it is of this code and machine (or ``go_on``); else a new one."""
    here = machine.describe()
    stable = {name: here[name] for name in ("processor", "cores", "memory_gb", "kernel", "python")}
    fresh = {"begun": machine.now(), "source": source(), "machine": stable, "runs": []}
    if results.exists():
        old: dict[str, Any] = json.loads(results.read_text())
        if go_on or all(old.get(name) == fresh[name] for name in ("source", "machine")):
            return old
    return fresh


def run(planned: Planned) -> dict[str, Any]:
    """The figures, or why there are none."""
    with subprocess.Popen(
        planned.command(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as one:
        try:
            out, err = one.communicate(timeout=planned.limit + 300)
        except BaseException:
            one.send_signal(signal.SIGTERM)  # it stops what it started
            one.wait()
            raise
    if one.returncode:
        return {"case": planned.case, "contender": planned.contender, "failed": err.strip() or f"exit {one.returncode}"}
    return dict(json.loads(out))


def carry_out(planned: Iterable[Planned], held: dict[str, Any], results: Path) -> None:
    """Run what is missing; each figure is in the file as soon as it is known."""
    left = list(missing(planned, held["runs"]))
    minutes = sum(one.estimate for one in left) / 60
    print(f"{len(left)} runs, about {minutes:.0f} minutes on a quiet machine", file=sys.stderr)
    for number, one in enumerate(left, 1):
        print(f"{number}/{len(left)}  {one.case}  {one.contender}  ~{one.estimate:.0f} s", file=sys.stderr)
        held["runs"].append(run(one))
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(held, indent=1) + "\n")


def show(rows: Iterable[compare.Row]) -> str:
    """The table, aligned."""
    lines = compare.table(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> None:
    """Plan, run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help=f"MBxCLIENTS, with commas between (default: {','.join(ROUNDS)})")
    parser.add_argument("--systems", default=",".join(CONTENDERS), help="of %(default)s")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"cases {','.join(QUICK)} once: does everything work?")
    parser.add_argument("--go-on", action="store_true", help="add to the file, whatever code it is of")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    cases = chosen.cases.split(",") if chosen.cases else QUICK if chosen.quick else tuple(ROUNDS)
    contenders = chosen.systems.split(",")
    if unknown := set(contenders) - set(CONTENDERS):
        parser.error(f"unknown systems {', '.join(sorted(unknown))}; known: {', '.join(CONTENDERS)}")
    for peer in sorted({one.partition("-")[0] for one in contenders} - {"rondo"}):
        environments.make(peer)
    held = session(chosen.results, chosen.go_on)
    carry_out(plan(cases, contenders, 1 if chosen.quick else chosen.repeat), held, chosen.results)
    print(show(compare.rows(held["runs"])))


if __name__ == "__main__":
    main()
