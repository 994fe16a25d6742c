"""How the cost of Rondo grows: with the model (1 MB to 2 GB, 2 clients) and with the clients (1 to 32, 64 MB).

``python -m benchmarks.scale [--repeat 1] [--largest 2048]`` runs what is missing in ``benchmarks/results/scale.json``
and adds every raw figure to it, as ``benchmarks.peers`` does; ``python -m benchmarks.plots`` draws it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import compare, peers

RESULTS = Path(__file__).parent / "results" / "scale.json"
SIZES = ("1x2", "4x2", "16x2", "64x2", "256x2", "512x2", "1024x2", "2048x2")
CLIENTS = ("64x1", "64x4", "64x8", "64x16", "64x32")
MANY = ("2048x8",)  # the largest of all: is memory flat there, too?


def plan(repeat: int, largest: float) -> list[peers.Planned]:
    """Everything up to a model of ``largest`` MB once, then again."""
    cases = [case for case in (*SIZES, *CLIENTS, *MANY) if compare.order(case)[0] <= largest]
    rounds = {case: 8 if compare.order(case)[0] <= 64 else 3 for case in cases}
    return [peers.Planned(case, "rondo", rounds[case]) for case in cases] * repeat


def main() -> None:
    """Plan, run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--largest", type=float, default=2048.0, help="MB of the largest model (default: %(default)s)")
    parser.add_argument("--go-on", action="store_true", help="add to the file, whatever code it is of")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    held = peers.session(chosen.results, chosen.go_on)
    peers.carry_out(plan(chosen.repeat, chosen.largest), held, chosen.results)
    print(peers.show(compare.rows(held["runs"])))


if __name__ == "__main__":
    main()
