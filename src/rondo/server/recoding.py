"""Where files of a run travel coded: the server's end of it, in its worker.

Updates are decoded before they are folded. A new model is coded once, after it was folded; what clients are sent is
committed with it and goes with it. The next fold starts from the model itself, never from what a codec left of it, so
that nothing small is lost round after round: Philippenko and Dieuleveut 2021, "Preserved central model for faster
bidirectional compression in distributed settings" (arXiv:2102.12528).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.blobs.seam import BlobStore
from rondo.jobs.job import Job
from rondo.ledger.rounds import Contribution
from rondo.ledger.runs import Run
from rondo.server.crew import OwnWorker
from rondo.server.store import Store
from rondo.tensors.digest import FileInfo
from rondo.worker.host import Worker, WorkerSpec, open_worker


@dataclass(frozen=True)
class Made:
    """A new model: its ``file``, the one that clients are ``sent`` (often the same), the run's ``codecs`` by way."""

    file: FileInfo
    sent: FileInfo
    codecs: Mapping[str, Mapping[str, Any]]

    def keep(self, blobs: BlobStore) -> None:
        """Give the files to the store."""
        blobs.adopt(self.file.path, self.file.digest)
        if self.sent != self.file:
            blobs.adopt(self.sent.path, self.sent.digest)


class Recoding:
    """The codecs of one run. Without them everything stays as it is, and no worker is asked."""

    def __init__(self, store: Store, run: Run, job: Job, worker: Worker | None, own: OwnWorker | None = None) -> None:
        self._store = store
        self._worker = worker
        self._own = own
        self._folder = store.spool / f".plain-{run.id}"
        self._coded = store.spool / f".coded-{run.id}"
        self._codecs = {
            way: {"name": one.name, "options": dict(one.options)} for way, one in job.transfer.chosen.items() if one
        }

    @asynccontextmanager
    async def plain(self, updates: Sequence[Contribution], model_size: int) -> AsyncIterator[Mapping[str, Path]]:
        """The file of every client's update as it can be folded. What was decoded is gone when this ends."""
        paths = {u.client: self._store.upload(u.client, u.digest) for u in updates}
        if "up" not in self._codecs:
            yield paths
            return
        self._store.room.need(model_size * len(updates), "decoding the updates")
        try:
            for client, path in paths.items():
                paths[client] = self._folder / client
                await self._ask("decode", "up", path, paths[client])
            yield paths
        finally:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def made(self, model: FileInfo, round_number: int = 0) -> Made:
        """The model with what clients are sent for it in this round: what components of the job's own make of it, too.

        (Such a job has no codecs.)
        """
        if self._own is not None:
            return Made(model, await self._own.sent(model, round_number), self._codecs)
        if "down" not in self._codecs:
            return Made(model, model, self._codecs)
        self._store.room.need(model.size, "the coded model")
        answer = await self._ask("encode", "down", model.path, self._coded)
        return Made(model, FileInfo(self._coded, answer["digest"], answer["size"]), self._codecs)

    async def _ask(self, do: str, way: str, source: Path, out: Path) -> dict[str, Any]:
        assert self._worker is not None  # whoever has none has nothing to ask
        request = {"do": do, "codec": self._codecs[way], "source": str(source), "out": str(out)}
        return await self._worker.ask(request, None)


@asynccontextmanager
async def recoding(store: Store, run: Run, job: Job, log: Path, own: OwnWorker | None) -> AsyncIterator[Recoding]:
    """Before there is a worker that folds: with one of its own, where there is anything to code."""
    if job.transfer.chosen["down"] is None:
        yield Recoding(store, run, job, None, own)
        return
    async with open_worker(WorkerSpec("fold", log=log, tag="server")) as worker:
        yield Recoding(store, run, job, worker)
