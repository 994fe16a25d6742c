"""What the site's policy makes of one run: its workers and what they see, what leaves, and how long it may go on."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.client.gate import data_of
from rondo.client.limits import processors, refused, surroundings, within
from rondo.client.passage import Passage, open_passage
from rondo.client.place import Place
from rondo.client.policy import SitePolicy
from rondo.jobs.job import Job
from rondo.jobs.task import derive_seed
from rondo.worker.host import WorkerSpec
from rondo.worker.output import OnLine
from rondo.worker.sandbox import Sandbox


@dataclass(frozen=True)
class Rules:
    """``number``: of the run folder. ``on_line`` gets what the run's workers print."""

    policy: SitePolicy
    place: Place
    number: int
    on_line: OnLine

    @property
    def data(self) -> Path | None:
        """What the trainer sees as the site's data."""
        return data_of(self.policy, self.place)

    def training(self) -> WorkerSpec:
        """The worker that runs the job's code."""
        limits, name = self.policy.limits, self.place.instance
        return WorkerSpec(
            "train", code=self.place.code(self.number), log=self._log, tag=name, on_line=self.on_line,
            env=surroundings(limits, os.environ), cpus=None if limits.cpus is None else processors(limits.cpus),
            sandbox=self._sandbox() if self.policy.worker.sandbox == "bubblewrap" else None,
        )  # fmt: skip

    def opening(self, job: Job, seed: str, gpus: int) -> dict[str, Any]:
        """The first request to that worker. ``gpus``: processes that train together; 0: as the job says.

        Raises ``SiteRefused`` for more than the site has to give.
        """
        trainer, place = job.client.trainer, self.place
        ranks, most = gpus or job.client.processes, self.policy.limits.gpus
        if most is not None and ranks > max(most, 1):
            raise refused("gpus", f"trains on {ranks} GPUs", str(most))
        return {
            "do": "open",
            "kind": "train",
            "job": {"name": trainer.name, "options": dict(trainer.options)},
            "site": {
                "name": place.instance,
                "workspace": str(place.work(self.number)),
                "code": str(place.code(self.number)),
                "data": str(self.data) if self.data else None,
            },
            "seed": derive_seed(seed, place.instance),
            "ranks": ranks,
        }

    def passage(self, job: Job) -> AbstractAsyncContextManager[Passage]:
        """The way of the run's files, with the filters that this site adds to the job's."""
        worker = WorkerSpec("filter", log=self._log, tag=self.place.instance, on_line=self.on_line)
        folder = self.place.run_folder(self.number)
        return open_passage(job, self.policy.filters, worker, self.place.instance, folder, self.place.secret)

    async def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, the run, within the site's limits. Raises ``SiteRefused`` where it passes them."""
        await within(self.policy.limits, lambda: self.place.taken(self.number), work)

    @property
    def _log(self) -> Path:
        return self.place.run_folder(self.number) / f"{self.place.instance}.log"

    def _sandbox(self) -> Sandbox:
        place = self.place
        data = (*self.policy.data.paths, *((self.data,) if self.data else ()))
        writes = (place.work(self.number), place.made)
        reads = (*data, place.code(self.number), place.cache)
        return Sandbox(reads, writes, hides=place.folder, home=writes[0], cards=self.policy.limits.gpus != 0)
