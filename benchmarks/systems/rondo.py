"""Rondo as it comes: kits provisioned for everybody, mutual TLS, server and clients as processes."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from pathlib import Path

from benchmarks import machine, work
from benchmarks.case import Case, Failed, Result
from benchmarks.peaks import Peaks
from rondo.console.session import AdminSession, log_in, outcome
from rondo.simulator.local import SERVER, Federation, Layout, federation
from rondo.tensors.files import TensorFile

TRAINING, MAKING = "training worker", "worker of the first model"
WORKERS = {"fold": "aggregation worker", "init": MAKING, "train": TRAINING, "filter": "filter worker"}
CODE = """
import rondo
import work


def new_model(elements):
    return {f"layer{number:02}": work.initial(number, elements) for number in range(work.ARRAYS)}


class Adds:
    def __init__(self, site):
        self.client = int(site.name.removeprefix("site-"))

    def train(self, model, task):
        return rondo.Update({name: work.train(model[name], self.client) for name in model}, samples=1)
"""
JOB = """
name = "adds"
[server]
min_clients = {clients}
num_rounds = {rounds}
seed = "bench"
final_validation = false
[model]
function = "adds:new_model"
args = {{ elements = {elements} }}
[client]
trainer = {{ name = "function", class = "adds:Adds" }}
"""


def measure(case: Case, folder: Path) -> Result:
    """Rondo has no tuning: ``best`` is ``default``."""
    return asyncio.run(_measure(case, folder))


async def _measure(case: Case, folder: Path) -> Result:
    job = folder / "adds"
    job.mkdir()
    shutil.copy(work.__file__, job)
    (job / "adds.py").write_text(CODE)
    elements = work.count(case.megabytes)
    (job / "job.toml").write_text(JOB.format(clients=case.clients, rounds=case.rounds, elements=elements))
    names = {f"site-{number}": None for number in range(case.clients)}
    version = machine.versions("rondo-fl")["rondo-fl"]
    with Peaks(_role) as peaks:
        async with (
            asyncio.timeout(case.seconds),
            federation(folder / "sites", Layout(names)) as made,
            log_in(made.admin_kit, version, patience=60.0) as session,
        ):
            _watch(peaks, made)
            run = await session.submit(job)
            seconds = await _follow(session, run)
            noise = peaks.noise()
            await session.model(run, "last", folder / "last.safetensors")
    if peaks.guarded:
        raise Failed(peaks.guarded)
    with TensorFile(folder / "last.safetensors") as file:
        correct = work.is_right((file[name] for name in sorted(file)), case.clients, case.rounds)
    return Result(
        seconds,
        peaks.mb(),
        correct,
        _settings(),
        machine.versions(*machine.PACKAGES),
        training=[TRAINING, MAKING],
        noise=noise,
    )


def _settings() -> dict[str, str]:
    return {"transport": "gRPC, mutual TLS 1.3", "storage": "each round's model is committed to disk"}


def _watch(peaks: Peaks, made: Federation) -> None:
    peaks.watch("server", made.pid(SERVER))
    for number, name in enumerate(made.layout.clients):
        peaks.watch(f"client {number}", made.pid(name))


def _role(owner: str, args: list[str]) -> str:
    if "rondo.worker.child" in args:
        return WORKERS.get(args[-1], "")
    return next((role for role in ("server", "client") if role in args), "")


async def _follow(session: AdminSession, run: int) -> list[float]:
    """Seconds of each round, from its opening (the first) or the commit before it to its commit."""
    moments: list[float] = []
    async for event in session.watch(run):
        if event.kind == "round_committed" or (event.kind == "round_opened" and not moments):
            moments.append(event.at)
        last = event
    outcome(last)
    return [after - before for before, after in itertools.pairwise(moments)]
