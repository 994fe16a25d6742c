"""The workers that the server has for one run: one folds and runs no user code, one runs what the job brings for it.

What a job's own components make is never believed. The next model of theirs is looked at like an update, by the worker
that folds: a file of the model's layout, all of it finite; that worker writes the model. Only then they are shown it,
to save it where they like. Their worker writes where it is told to, and does not choose which file is taken. It is
started when it is first asked, lasts as long as the run, and hears of its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rondo.jobs.job import Job
from rondo.jobs.task import derive_seed
from rondo.ledger.rounds import Contribution
from rondo.ledger.runs import Run
from rondo.server.folded import Folded
from rondo.server.store import Store
from rondo.tensors.digest import FileInfo
from rondo.worker.host import Worker, WorkerSpec, open_worker

_SITE = "aggregator"


class OwnWorker:
    """The job's own components at the server. Everything raises ``TaskFailed`` from the job's code."""

    def __init__(self, store: Store, run: Run, job: Job, stack: AsyncExitStack) -> None:
        self._store = store
        self._run = run
        self._job = job
        self._stack = stack
        self._worker: Worker | None = None

    async def load(self) -> FileInfo:
        """The model that the run begins with."""
        out = self._store.spool / f".first-{self._run.id}"
        return _written(out, await self._ask("load", self._run.start_round, out=str(out)))

    async def sent(self, model: FileInfo, round_number: int) -> FileInfo:
        """What sites are sent of ``model`` in this round."""
        out = self._store.spool / f".sent-{self._run.id}"
        self._store.room.need(model.size, "what sites are sent")
        said = await self._ask("send", round_number, model=str(model.path), out=str(out))
        return _written(out, said) if said.get("path") else model

    async def folded(self, worker: Worker, updates: Sequence[Contribution], request: Mapping[str, Any]) -> Folded:
        """What they make of the contributions in ``request``, which is one to fold; ``worker`` is the one that folds.

        Raises ``TaskFailed`` also where what they made is no model.
        """
        by_client, metric = {update.client: update for update in updates}, self._job.server.best_metric
        described = [
            {
                **one,
                "steps": by_client[one["site"]].steps or 1.0,
                "metric": by_client[one["site"]].metrics.get(metric),
            }
            for one in request["contributions"]
        ]
        name = f".own-{self._run.id}"
        out = self._store.spool / name
        about = {key: request[key] for key in ("base", "rule", "exclude_vars")}
        base = await asyncio.to_thread(Path(request["base"]).stat)
        self._store.room.need(2 * base.st_size, "what the job's own components make")
        try:
            told = await self._ask("aggregate", updates[0].round, **about, out=str(out), contributions=described)
            one = {"site": _SITE, "path": str(out), "kind": "weights", "omitted": [], "weight": 1.0}
            folded = Folded.of(await worker.ask({**request, "exclude_vars": "", "contributions": [one]}))
        finally:
            for left in (out, *out.parent.glob(f"{name}.*")):
                left.unlink(missing_ok=True)
        await self._ask("persist", updates[0].round, model=str(folded.model.path))
        accepted = set(map(str, told["accepted"])) if isinstance(told.get("accepted"), list) else set()
        return replace(folded, weights={one["site"]: one["weight"] * (one["site"] in accepted) for one in described})

    async def _ask(self, do: str, round_number: int, **fields: Any) -> dict[str, Any]:
        folder = self._store.run_folder(self._run.number)
        seed = derive_seed(self._run.seed, "server", do, round_number)
        if self._worker is None:
            code = folder / "mmar_server"
            spec = WorkerSpec("own", code=code, log=folder / "server_worker.log", tag="server")
            self._worker = await self._stack.enter_async_context(open_worker(spec))
            request = {"do": "open", "kind": "own", "code": str(code), "rounds": self._run.num_rounds}
            trainer = {"name": self._job.client.trainer.name}
            opening = derive_seed(self._run.seed, "server", "open")  # whatever it is asked first
            await self._worker.ask({**request, "trainer": trainer, "seed": opening})
        return await self._worker.ask({"do": do, "round": round_number, "seed": seed, **fields})


@dataclass(frozen=True)
class Crew:
    """``fold`` runs no user code; ``own`` are the job's components, where it brings any for the server."""

    fold: Worker
    own: OwnWorker | None


@asynccontextmanager
async def open_crew(store: Store, run: Run, job: Job) -> AsyncIterator[Crew]:
    """The workers of ``run``, which are gone when this is left."""
    log = store.run_folder(run.number) / "server_worker.log"
    async with AsyncExitStack() as stack:
        fold = await stack.enter_async_context(open_worker(WorkerSpec("fold", log=log, tag="server")))
        yield Crew(fold, OwnWorker(store, run, job, stack) if job.server.own_parts else None)


def _written(out: Path, said: Mapping[str, Any]) -> FileInfo:
    return FileInfo(out, said["digest"], said["size"])
