"""What files go through on their way into the site and out of it, in a worker that never runs user code.

In: a model that travels coded is decoded. Out: the job's filters, then its codec. What the codec lost is kept beside
the run, made of what the filters let pass only, in a file that names run and round; it is added to the next update
after the one that counted. Which one that was the server says with the task, so a client that was killed anywhere
codes the same update to the same bits, and what was lost of an update that did not count is never added.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rondo.jobs.job import Choice, Job
from rondo.jobs.task import derive_seed
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import Worker, WorkerSpec, open_worker

Answer = dict[str, Any]  # of a worker


class Passage:
    """The way of one run's files: as they are, until ``begin`` gives it a worker."""

    def __init__(self, job: Job, instance: str, folder: Path, secret: str) -> None:
        self._worker: Worker | None = None
        self._filters = [_plain(one) for one in job.client.filters]
        self._codecs = {way: _plain(one) for way, one in job.transfer.chosen.items() if one}
        self._instance = instance
        self._folder = folder  # of the run
        self._secret = secret

    @property
    def open(self) -> bool:
        """Whether files come and go as they are."""
        return not (self._filters or self._codecs)

    async def begin(self, worker: Worker) -> None:
        """Raises ``TaskFailed`` for filters and codecs that this site does not know."""
        await worker.ask(
            {"do": "open", "kind": "filter", "filters": self._filters, "codecs": list(self._codecs.values())}
        )
        self._worker = worker

    async def model(self, sent: Path) -> Path:
        """The model that the server sent, as trainers read it."""
        if self._worker is None or "down" not in self._codecs:
            return sent
        out = sent.with_name(f"{sent.name}.plain")
        await self._worker.ask({"do": "decode", "codec": self._codecs["down"], "source": str(sent), "out": str(out)})
        return out

    async def update(self, work: pb.Work, model: Path, answer: Answer) -> Answer:
        """What may leave of the update in ``answer``. What goes wrong here keeps it at home."""
        if self._worker is None:
            return answer
        answer = answer | await self._worker.ask(
            {
                "do": "filter", "model": str(model), "update": answer["path"], "kind": answer["kind"], "omitted": [],
                "steps": answer["steps"], "filters": self._filters, "codecs": list(self._codecs.values()),
                "out": str(model.with_name(f"{self._instance}.filtered")),
                "seed": derive_seed(self._secret, work.seed, self._instance, work.round),
            }
        )  # fmt: skip
        if "up" not in self._codecs:
            return answer
        request = {
            "do": "encode", "codec": self._codecs["up"], "source": answer["path"],
            "out": str(model.with_name(f"{self._instance}.coded")),
        }  # fmt: skip
        return answer | await self._worker.ask(request | self._losses(work))

    def _losses(self, work: pb.Work) -> dict[str, str]:
        """The file of the last update that counted, and that of this one; all others are history."""
        before = self._lost(work.run, work.counted) if work.HasField("counted") else None
        for path in self._folder.glob(f"{self._instance}.lost-*"):
            if path != before:
                path.unlink(missing_ok=True)
        found = str(before) if before is not None and before.exists() else ""
        return {"before": found, "after": str(self._lost(work.run, work.round))}

    def _lost(self, run: int, round_number: int) -> Path:
        return self._folder / f"{self._instance}.lost-{run}-{round_number}"


@asynccontextmanager
async def open_passage(job: Job, spec: WorkerSpec, instance: str, folder: Path, secret: str) -> AsyncIterator[Passage]:
    """The way of the files of ``job``. ``spec``: of the worker, for whom anything is to be done; ``secret``: what the
    server does not know. Raises ``TaskFailed`` for filters and codecs that this site does not know."""
    passage = Passage(job, instance, folder, secret)
    if passage.open:
        yield passage
        return
    async with open_worker(spec) as worker:
        await passage.begin(worker)
        yield passage


def _plain(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, "options": dict(choice.options)}
