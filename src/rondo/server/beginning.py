"""The model that a run begins with: made or read in a worker of its own, once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rondo.jobs.job import Job
from rondo.jobs.task import derive_seed
from rondo.ledger import models as model_rows
from rondo.ledger import runs as rows
from rondo.ledger.runs import Run
from rondo.server.crew import OwnWorker
from rondo.server.models import Models
from rondo.server.recoding import recoding
from rondo.server.store import Store
from rondo.tensors.digest import FileInfo
from rondo.worker.host import WorkerSpec, open_worker

T = TypeVar("T")


async def first_model(store: Store, run: Run, job: Job, code: Path, own: OwnWorker | None) -> None:
    """See that the run has the model its first round starts from; user code in ``code`` may make it, or what the job
    brings of its ``own`` for the server.

    Raises ``TaskFailed`` from that code, ``RunAborted`` where somebody ends the run meanwhile, ``MachineFault``.
    """
    if await store.read(model_rows.last, run.id) is not None:
        return
    log = store.run_folder(run.number) / "server_worker.log"
    beginning = own.load() if own is not None and job.model.trainer else _first_file(store, run, job, code)
    file = await _unless_aborted(store, run, beginning)
    async with recoding(store, run, job, log, own) as coding:  # not where user code has run
        made = await _unless_aborted(store, run, coding.made(file, run.start_round))
    await Models(store, run, job).begin(made, job.model.file or job.model.function or job.client.trainer.name)


async def _first_file(store: Store, run: Run, job: Job, code: Path) -> FileInfo:
    out, log = store.spool / f".first-{run.id}", store.run_folder(run.number) / "server_worker.log"
    request: dict[str, Any] = {"do": "init", "seed": derive_seed(run.seed, "model"), "out": str(out)}
    if job.model.file:
        request["file"] = str(code / job.model.file)
    elif job.model.trainer:
        trainer = job.client.trainer
        request |= {"trainer": {"name": trainer.name, "options": dict(trainer.options)}, "code": str(code)}
    else:
        request |= {"function": job.model.function, "args": dict(job.model.args)}
    async with open_worker(WorkerSpec("init", code=code, log=log, tag="server")) as worker:
        answer = await worker.ask(request, None)
    return FileInfo(out, answer["digest"], answer["size"])


async def together(*works: Coroutine[Any, Any, Any]) -> None:
    """Do all of it at once. A failure is raised as if one had been done after the other: the same one every time."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unless_aborted(store: Store, run: Run, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is given up where somebody ends the run. Raises ``RunAborted``."""

    async def watch() -> NoReturn:
        while True:
            ticket = store.bell.ticket(f"run:{run.id}")
            await store.read(rows.see_open, run.id)
            await store.bell.wait(f"run:{run.id}", ticket)

    working, watching = asyncio.create_task(work), asyncio.create_task(watch())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else watching.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
