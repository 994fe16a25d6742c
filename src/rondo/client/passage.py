"""What files go through on their way into the site and out of it, in a worker that never runs user code.

In: a model that travels coded is decoded. Out: the job's filters, then those that the site adds, then the job's codec.
What the codec lost is kept beside the run, made of what the filters let pass only, in a file that names run and round;
it is added to the next update after the one that counted. Which one that was the server says with the task, so a client
that was killed anywhere codes the same update to the same bits, and what was lost of an update that did not count is
never added.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.errors import BadInput, SiteRefused
from rondo.jobs.folder import kind_of
from rondo.jobs.job import Choice, Job
from rondo.jobs.task import derive_seed
from rondo.policy.site import FILE
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import TaskFailed, Worker, WorkerSpec, open_worker

Answer = dict[str, Any]  # of a worker


class Passage:
    """The way of one run's files: as they are, until ``begin`` gives it a worker."""

    def __init__(self, job: Job, own: Sequence[Choice], instance: str, folder: Path, secret: str) -> None:
        self._worker: Worker | None = None
        self._own = [_plain(one) for one in own]
        self._filters = [_plain(one) for one in job.client.filters] + self._own  # nothing comes after the site's own
        self._crossing = [_plain(one) for one in job.client.cross_filters] + self._own  # for its best local model
        self._codecs = {way: _plain(one) for way, one in job.transfer.chosen.items() if one}
        self._instance = instance
        self._folder = folder  # of the run
        self._secret = secret

    @property
    def open(self) -> bool:
        """Whether files come and go as they are."""
        return not (self._filters or self._crossing or self._codecs)

    async def begin(self, worker: Worker) -> None:
        """Raises ``TaskFailed`` for filters and codecs that this site does not know, ``SiteRefused`` for its own."""
        try:
            await worker.ask({"do": "open", "kind": "filter", "filters": self._own})
        except TaskFailed as error:
            raise SiteRefused(f"this site cannot filter as it must: {error.error}", where=f"{FILE} filters") from None
        filters = self._filters + self._crossing
        await worker.ask({"do": "open", "kind": "filter", "filters": filters, "codecs": list(self._codecs.values())})
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
        local = work.task == "collect"  # whole as it is: what codecs lose in training has nothing to do with it
        filters, codecs = (self._crossing, {}) if local else (self._filters, self._codecs)
        answer = answer | await self._worker.ask(
            {
                "do": "filter", "model": str(model), "update": answer["path"], "kind": answer["kind"],
                "omitted": answer["omitted"], "steps": answer["steps"], "filters": filters,
                "codecs": list(codecs.values()), "out": str(model.with_name(f"{self._instance}.filtered")),
                "seed": derive_seed(self._secret, work.seed, self._instance, work.round),
            }
        )  # fmt: skip
        if "up" not in codecs:
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
async def open_passage(
    job: Job, own: Sequence[Choice], spec: WorkerSpec, instance: str, folder: Path, secret: str
) -> AsyncIterator[Passage]:
    """The way of the files of ``job``. ``own``: the filters that the site adds; ``spec``: of the worker, for whom
    anything is to be done; ``secret``: what the server does not know. Raises what ``Passage.begin`` raises."""
    passage = Passage(job, own, instance, folder, secret)
    if passage.open:
        yield passage
        return
    async with open_worker(spec) as worker:
        await passage.begin(worker)
        yield passage


class Made(msgspec.Struct, frozen=True):
    """What the training worker says of an update. It is no more to be believed than the job's code: same process."""

    path: str
    digest: str
    size: int
    kind: str
    samples: float
    steps: float
    metrics: dict[str, float]
    local_metrics: dict[str, float]
    omitted: list[str]


class Measured(msgspec.Struct, frozen=True):
    """What it says of a model that it was to validate."""

    samples: float
    metrics: dict[str, float]


def take_over(answer: Answer, made: Path, into: Path) -> Answer:
    """Move the update ``made`` out of the training worker's reach, to ``into``: from here on nobody changes it.

    Raises ``BadInput`` where the worker names another file, or left a link: it is not to choose what is sent.
    """
    said = answered(answer, Made)
    if said["path"] != str(made):
        raise BadInput(f"the worker was to write {made.name}, and names {said['path'][:200]}")
    try:
        _see_plain(made)  # before, as nothing but a file can be replaced by the next one
        os.replace(made, into)
        _see_plain(into)
    except OSError as error:
        raise BadInput(f"the worker's {made.name} cannot be had: {error.strerror}") from None
    return said | {"path": str(into)}


def answered(answer: Answer, kind: type[msgspec.Struct]) -> Answer:
    """The fields of ``kind`` in ``answer``. Raises ``BadInput`` where they are not there, or are something else."""
    try:
        return msgspec.structs.asdict(msgspec.convert(answer, kind))
    except msgspec.ValidationError as error:
        raise BadInput(f"an answer of the worker that cannot be read: {error}") from None


def _see_plain(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise BadInput(f"the worker's {path.name} is {kind_of(found.st_mode)}, or has a second name")


def _plain(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, "options": dict(choice.options)}
