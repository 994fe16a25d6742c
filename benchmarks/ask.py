"""How long a command to a client takes: the admin's console to the server, the client, and back, over mutual TLS.

``python -m benchmarks.ask [--times 100] [--clients 2]`` prints one JSON line. ``check_status client NAME`` is asked
again and again of a client that has nothing else to do: milliseconds from the call to the last row. A client is told
by the answer to its waiting call, so nothing is polled for.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks._world import VERSION, program
from benchmarks.peaks import cpu_seconds
from rondo.console.session import log_in
from rondo.simulator.local import SERVER, Layout, federation

WARM = 5  # questions before those that are counted


async def measure(times: int, clients: int, folder: Path) -> dict[str, Any]:
    names = [f"site-{number}" for number in range(clients)]
    async with (
        federation(folder / "sites", Layout(dict.fromkeys(names))) as made,
        log_in(made.admin_kit, VERSION, patience=60.0) as session,
    ):
        took: list[float] = []
        async for event in session.watch():
            if event.kind == "client_joined" and event.data["client"] == names[0]:
                break
        for number in range(WARM + times):
            if number == WARM:
                spent = cpu_seconds(made.pid(SERVER))
            began = time.perf_counter()
            found = await session.facts("check_status", "client", names[0])
            took.append(1000 * (time.perf_counter() - began))
            if [client["instance"] for client in found["clients"]] != names[:1]:
                raise RuntimeError(f"not answered: {found}")
        spent = cpu_seconds(made.pid(SERVER)) - spent
    ordered = sorted(took[WARM:])
    return {
        "clients": clients,
        "times": times,
        "median_ms": round(statistics.median(ordered), 1),
        "min_ms": round(ordered[0], 1),
        "p99_ms": round(ordered[(len(ordered) - 1) * 99 // 100], 1),
        "server_cpu_ms": round(1000 * spent / times, 2),
    }


def main() -> None:
    """Parse, measure, print."""
    program(__doc__, measure, times=100, clients=2)


if __name__ == "__main__":
    main()
