"""How long after ``submit`` the first task is in a client's worker, with everything running and nothing cached.

``python -m benchmarks.submit [--times 10] [--clients 2]`` prints one JSON line. ``seconds`` is from the call of the
admin's ``submit`` (check, pack and upload included) to the moment when a trainer is called; ``median`` and the rest
are over jobs that differ, so that no package or code is known to anybody. ``steps`` has the medians of the way: until
the server has the run, has invited the clients, has heard that all are prepared, has the first model, has opened the
first round, and until the trainer has the model; in milliseconds from the step before.
"""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks._world import ADDS, VERSION, program, write_job
from rondo.console.session import AdminSession, RunEvent, log_in, outcome
from rondo.simulator.local import Layout, federation

# The trainer tells when it was called.
TIMED = ADDS.replace("import rondo\n", "import rondo\nimport time\n").replace(
    "        return rondo.Update({name: model[name] + np.float32(1) for name in model}, samples=1)",
    "        called = time.time()\n"
    "        update = {name: model[name] + np.float32(1) for name in model}\n"
    '        return rondo.Update(update, samples=1, local_metrics={"called": called})',
)
STEPS = ("run_submitted", "run_dispatching", "run_running", "model_ready", "round_opened")


async def once(session: AdminSession, job: Path) -> list[float]:
    """Moments (seconds since the epoch): submitted, each of ``STEPS``, first trainer called."""
    began = time.time()
    run = await session.submit(job)
    events: list[RunEvent] = [event async for event in session.watch(run)]
    outcome(events[-1])
    first = {event.kind: event.at for event in reversed(events)}
    called = min(event.data["local_metrics"]["called"] for event in events if event.kind == "update_accepted")
    return [began, *(first[kind] for kind in STEPS), called]


async def measure(times: int, clients: int, folder: Path) -> dict[str, Any]:
    layout = Layout({f"site-{number}": None for number in range(clients)})
    moments: list[list[float]] = []
    async with federation(folder / "sites", layout) as made, log_in(made.admin_kit, VERSION, patience=60.0) as session:
        for number in range(times + 1):
            job = write_job(folder / f"job-{number}", 1.0, TIMED + f"# {number}\n", min_clients=clients, num_rounds=1)
            moments.append(await once(session, job))
    seconds = [line[-1] - line[0] for line in moments[1:]]  # during the first, clients were starting
    gaps = zip(*([after - before for before, after in itertools.pairwise(line)] for line in moments[1:]), strict=True)
    medians = [round(1000 * statistics.median(gap), 1) for gap in gaps]
    return {
        "clients": clients,
        "times": times,
        "median": round(statistics.median(seconds), 3),
        "min": round(min(seconds), 3),
        "max": round(max(seconds), 3),
        "steps": dict(zip([*STEPS, "trainer_called"], medians, strict=True)),
    }


def main() -> None:
    """Parse, measure, print."""
    program(__doc__, measure, times=10, clients=2)


if __name__ == "__main__":
    main()
