"""The PyTorch files that people look for in a run's folder: ``models/FL_global_model.pt`` and the best one (spec 4.4).

They are made by a worker from the model files, where the job asks for them. Beside each a hidden file says which model
it is of; it is written last, so what a kill left undone is seen, and done again when the run is taken up.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from rondo.base.disk import write_atomic
from rondo.jobs.job import Job
from rondo.ledger import models, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Run
from rondo.server.store import Store
from rondo.worker.host import Worker, WorkerSpec, open_worker

GLOBAL, BEST = "FL_global_model.pt", "best_FL_global_model.pt"


async def write_checkpoints(store: Store, run: Run, job: Job, worker: Worker | None = None) -> None:
    """See that the files are those of the last model and the best one. Raises ``TaskFailed``, ``MachineFault``.

    ``worker``: one that has run no user code; without it one is started where there is anything to do.
    """
    if job.model.checkpoints is None:
        return
    due = await store.read(_wanted, run)
    folder = store.run_folder(run.number) / "mmar_server" / "models"
    due = {name: digest for name, digest in due.items() if not await asyncio.to_thread(_is_of, folder / name, digest)}
    if not due:
        return
    if worker is None:
        spec = WorkerSpec("fold", log=store.run_folder(run.number) / "server_worker.log", tag="server")
        async with open_worker(spec) as own:
            await write_checkpoints(store, run, job, own)
        return
    for name, digest in due.items():
        source, out = store.blobs.local(digest), folder / name
        store.room.need(source.stat().st_size, "the checkpoint")
        request = {"do": "checkpoint", "source": str(source), "out": str(out), "beside": dict(job.model.checkpoints)}
        await worker.ask(request)
        await asyncio.to_thread(write_atomic, _mark(out), digest.encode())


def _wanted(tx: Tx, run: Run) -> dict[str, str]:
    """By file the digest of the model that should be in it. The model that a run begins with is nobody's result."""
    found, last, row = {}, models.last(tx, run.id), runs.get(tx, run.id)
    if last is not None and last.version > run.start_round:
        found[GLOBAL] = last.digest
    best = models.get(tx, run.id, row.best_version) if row is not None and row.best_version is not None else None
    return {**found, BEST: best.digest} if best is not None else found


def _is_of(path: Path, digest: str) -> bool:
    mark = _mark(path)
    return path.is_file() and mark.is_file() and mark.read_text() == digest


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}.of")
