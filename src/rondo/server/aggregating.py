"""A round folded by an aggregator that the job brings itself: in a worker of its own, and never believed.

What it makes is looked at like an update, by the worker that folds and has run no user code: a file of the model's
layout, all of it finite. That worker writes the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rondo.jobs.job import Job
from rondo.ledger.rounds import Contribution
from rondo.ledger.runs import Run
from rondo.server.folded import Folded
from rondo.server.store import Store
from rondo.worker.host import Worker, WorkerSpec, open_worker

_SITE = "aggregator"


async def own_folded(
    store: Store, run: Run, job: Job, worker: Worker, updates: Sequence[Contribution], request: Mapping[str, Any]
) -> Folded:
    """What the job's aggregator makes of the contributions in ``request``, which is one to fold.

    Raises ``TaskFailed`` from the job's code, or where what it made is no model.
    """
    by_client, trainer = {update.client: update for update in updates}, job.client.trainer
    code, out = store.run_folder(run.number) / "mmar_server", store.spool / f".own-{run.id}"
    described = [
        {
            **one,
            "steps": by_client[one["site"]].steps or 1.0,
            "metric": by_client[one["site"]].metrics.get(job.server.best_metric),
        }
        for one in request["contributions"]
    ]
    asked = {
        "do": "aggregate", "trainer": {"name": trainer.name}, "code": str(code), "base": request["base"],
        "out": str(out), "round": updates[0].round, "contributions": described,
    }  # fmt: skip
    log = store.run_folder(run.number) / "server_worker.log"
    try:
        async with open_worker(WorkerSpec("init", code=code, log=log, tag="server")) as own:
            told = (await own.ask(asked)).get("accepted")
        one = {"site": _SITE, "path": str(out), "kind": "weights", "omitted": [], "weight": 1.0}
        folded = Folded.of(await worker.ask({**request, "contributions": [one]}))
    finally:
        out.unlink(missing_ok=True)
    accepted = set(map(str, told)) if isinstance(told, list) else set()
    return replace(folded, weights={one["site"]: one["weight"] * (one["site"] in accepted) for one in described})
