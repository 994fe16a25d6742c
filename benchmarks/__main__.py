"""Rondo alone: every listed measurement, one after the other, into ``benchmarks/results/rondo.json``.

``python -m benchmarks [NAME ...]`` runs those of these names, or all. A benchmark is a module of this package with a
``main()`` that prints one JSON line for each thing it measured; what else it says goes to stderr. It is listed in
``SUITE`` with the arguments it is run with. Its lines stand under its name in the file, which keeps the lines of
benchmarks that were not run this time. Two of a name are told apart by their arguments.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers import ROOT, source

RESULTS = Path(__file__).parent / "results" / "rondo.json"


@dataclass(frozen=True)
class Listed:
    """One call of a benchmark: its module, its arguments, and about how many seconds it takes on two cores."""

    module: str
    arguments: str = ""
    seconds: float = 20.0
    quick: str | None = None  # the arguments that show in a few seconds whether it works; None: it is left out

    def asked(self, quick: bool) -> str | None:
        return self.quick if quick else self.arguments


SUITE = (
    Listed("round", "--model-mb 0.001 --clients 4 --rounds 101", 10, "--model-mb 0.001 --clients 2 --rounds 3"),
    Listed("round", "--model-mb 1 --clients 8 --rounds 20", 10),
    Listed("round", "--model-mb 64 --clients 2 --rounds 8", 10),
    Listed("round", "--model-mb 64 --clients 4 --rounds 8", 15),
    Listed("round", "--model-mb 2048 --clients 2 --rounds 5", 150),
    Listed("recovery", "--times 8", 24, "--times 1"),
    Listed("submit", "--times 5", 10, "--times 1"),
    Listed("abort", "--times 3", 10, "--times 1 --clients 2"),
    Listed("ask", "--times 100", 6, "--times 3"),
    Listed("transfer", "--times 2", 60, "--megabytes 8 --times 1 --clients 2"),
    Listed("line", "--megabytes 128", 20, "--megabytes 8"),
    Listed("flat", "--rounds 1000", 90),
    Listed("idle", "--clients 2000 --model-mb 2000", 70, "--clients 50 --model-mb 50 --helpers 2"),
    Listed("limited", "--model-mb 2000 --limit-mb 400", 60, "--model-mb 450 --clients 1"),
    Listed("fold", "--model-mib 32 --times 2", 30, "--model-mib 4 --times 1"),
    Listed("micro", "", 24),
)
LIMIT = 10.0  # times its seconds; then a benchmark has failed


def run(listed: Listed, quick: bool) -> list[dict[str, Any]]:
    """Its lines. Raises ``subprocess.SubprocessError``."""
    if listed.module == "micro":
        return micro()
    command = [sys.executable, "-m", f"benchmarks.{listed.module}", *(listed.asked(quick) or "").split()]
    out = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT * listed.seconds
    ).stdout
    return [json.loads(line) for line in out.splitlines()]


def micro() -> list[dict[str, Any]]:
    """``benchmarks/micro`` with pytest-benchmark, a line for each; ``gib_per_second`` of those that move bytes."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "benchmarks/micro"]
        subprocess.run(
            [*command, f"--benchmark-json={file.name}"], cwd=ROOT, check=True, stdout=sys.stderr, timeout=600
        )
        found = json.loads(Path(file.name).read_text())["benchmarks"]
    lines = []
    for one in found:
        stats, mib = one["stats"], one["extra_info"].get("mib")
        line = {"name": one["name"].removeprefix("test_"), "median_ms": round(1000 * stats["median"], 3)}
        line |= {"min_ms": round(1000 * stats["min"], 3), "times": stats["rounds"]}
        lines.append(line | ({"gib_per_second": round(mib / 1024 / stats["median"], 2)} if mib else {}))
    return lines


def collect(chosen: Iterable[Listed], held: dict[str, Any], results: Path, quick: bool) -> list[str]:
    """Run them, write after each; the names of those that failed."""
    failed = []
    begun: set[str] = set()
    for listed in chosen:
        print(f"{listed.module} {listed.asked(quick)}  ~{listed.seconds:.0f} s", file=sys.stderr)
        try:
            lines = run(listed, quick)
        except subprocess.SubprocessError as error:
            print(f"{listed.module}: {error}", file=sys.stderr)
            failed.append(listed.module)
            continue
        for line in lines:
            print(json.dumps({"benchmark": listed.module, **line}))
        before = held["results"].get(listed.module, []) if listed.module in begun else []
        begun.add(listed.module)
        held["results"][listed.module] = before + [{**line, "date": machine.now()} for line in lines]
        held |= {"source": source(), "machine": machine.describe()}
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(held, indent=1) + "\n")
    return failed


def main() -> None:
    """Choose, run, collect. Ends with 1 if something failed, after all the rest was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(listed.module for listed in SUITE))
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="only see whether they work")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"not listed: {', '.join(sorted(unknown))}")
    chosen = [one for one in SUITE if one.module in (asked.names or names) and one.asked(asked.quick) is not None]
    minutes = sum(one.seconds for one in chosen) / 60
    if not asked.quick:
        print(f"About {minutes:.0f} minutes on a quiet machine with two cores", file=sys.stderr)
    held = json.loads(asked.results.read_text()) if asked.results.exists() else {"results": {}}
    if failed := collect(chosen, held, asked.results, asked.quick):
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
