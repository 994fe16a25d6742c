"""Seconds a round and peak memory by role, for a model of any size, in Rondo, NVFlare or Flower.

``python -m benchmarks.round --system rondo --model-mb 64 --clients 4 --rounds 5`` prints one JSON line. What is done
is in ``benchmarks/work.py``, what is counted in ``benchmarks/case.py``. Server and clients are processes of their own
in the system's secure deployment, over the loopback interface. ``seconds_per_round`` is the median of the rounds
after the first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from benchmarks import machine
from benchmarks.case import Case, Failed, System, figures
from benchmarks.processes import leave_in_order

SYSTEMS = ("rondo", "nvflare", "flower")
TUNINGS = ("default", "best")


# Room on the disk, in models: a client keeps the model it got, the last one and its update; a server some more.
MODELS_OF_CLIENT, MODELS_OF_SERVER = 3.1, 3


def require_room(case: Case, folder: Path) -> None:
    """Raises ``Failed`` where the disk of ``folder`` is too small: it fills for everybody on this machine."""
    needed = (MODELS_OF_CLIENT * case.clients + MODELS_OF_SERVER) * case.megabytes / 1000
    free = shutil.disk_usage(folder).free / 1e9
    if needed > free:
        raise Failed(f"needs {needed:.0f} GB of disk, {folder} has {free:.0f}; set TMPDIR to a larger one")


def measure(system: str, case: Case, keep: Path | None = None) -> dict[str, Any]:
    """The figures. Logs and all else go away, unless they are to be kept in ``keep``. Raises ``Failed``."""
    module = cast(System, importlib.import_module(f"benchmarks.systems.{system}"))
    require_room(case, keep.parent if keep else Path(tempfile.gettempdir()))
    if keep is not None:
        keep.mkdir(parents=True)
        found = module.measure(case, keep.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix=f"bench-{system}-", ignore_cleanup_errors=True) as folder:
            found = module.measure(case, Path(folder))
    return {**figures(system, case, found), "date": machine.now(), "machine": machine.describe()}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=SYSTEMS, default="rondo")
    parser.add_argument("--model-mb", type=float, default=64.0, help="10^6 bytes")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tuning", choices=TUNINGS, default="default")
    parser.add_argument("--seconds", type=float, default=900.0, help="how long all of it may take")
    parser.add_argument("--keep", type=Path, help="a new folder in which logs and workspaces stay")
    chosen = parser.parse_args()
    case = Case(chosen.model_mb, chosen.clients, chosen.rounds, chosen.tuning, chosen.seconds)
    leave_in_order()
    try:
        print(json.dumps(measure(chosen.system, case, chosen.keep)))
    except Failed as failure:
        sys.exit(f"{chosen.system} {case.name}: {failure}")


if __name__ == "__main__":
    main()
