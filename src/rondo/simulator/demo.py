"""The demo: four clinics train one model on real patient records, with everything real but the distance."""

from __future__ import annotations

import asyncio
import importlib.metadata
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from rondo.base.errors import BadInput, Conflict
from rondo.console.live import LiveView
from rondo.console.session import AdminSession, log_in, outcome
from rondo.jobs.job import Job, read_job
from rondo.simulator.figures import RunFacts
from rondo.simulator.local import SERVER, Federation, Layout, federation
from rondo.simulator.report import Training, baselines, compare, write_report
from rondo.simulator.summary import table
from rondo.simulator.thyroid.clinic import Recipe
from rondo.simulator.thyroid.data import prepare
from rondo.tensors.files import TensorFile

JOB = Path(__file__).parent / "thyroid"
VERSION = importlib.metadata.version("rondo-fl")


def run_demo(folder: Path | None, *, crash: bool = False, rounds: int | None = None) -> None:
    """Run the demo in ``folder`` (a new one here where none is given) and print where the report is.

    Raises ``Conflict`` for a folder that is not empty, and whatever the run failed with.
    """
    where = (folder or Path(f"rondo-demo-{time.strftime('%Y%m%d-%H%M%S')}")).resolve()
    if where.exists() and any(where.iterdir()):
        raise Conflict("the demo wants an empty folder", where=str(where), hint="give another one with --dir")
    where.mkdir(parents=True, exist_ok=True)
    asyncio.run(_demo(where, crash, rounds))


async def _demo(where: Path, crash: bool, rounds: int | None) -> None:
    console, started = Console(), time.time()
    console.print(f"Four clinics, real patient records. Everything is kept in {where}")
    shares = prepare(where / "data")
    job = _copy_job(where / "job" / "thyroid", rounds)
    layout = Layout({share.site: where / "data" / share.site for share in shares})
    async with federation(where / "sites", layout) as made, log_in(made.admin_kit, VERSION, patience=60.0) as session:
        run = await session.submit(where / "job" / "thyroid")
        events, notes = await _follow(console, made, session, run, crash)
        outcome_of = events[-1]
        outcome(outcome_of)
        entries = {which: await session.model(run, which, where / f"{which}.safetensors") for which in ("last", "best")}
        number = (await session.facts("list_runs"))["runs"][0]["number"]
    facts = RunFacts(
        job=job.name, number=number, rounds=job.server.num_rounds, seed=job.server.seed, started=started,
        seconds=outcome_of.at - events[0].at, last_digest=entries["last"]["digest"],
        best_digest=entries["best"]["digest"], best_version=entries["best"]["version"], notes=tuple(notes),
    )  # fmt: skip
    console.print("Training every clinic alone, and one model on all records together, to compare ...")
    _report(console, where, job, facts, [asdict(event) for event in events])


def _copy_job(folder: Path, rounds: int | None) -> Job:
    """The job's folder as a researcher would have it; ``rounds`` replaces the number of rounds."""
    folder.mkdir(parents=True)
    for name in ("job.toml", "clinic.py"):
        shutil.copyfile(JOB / name, folder / name)
    if rounds is not None:
        text = (folder / "job.toml").read_text()
        before = f"num_rounds = {read_job(folder).server.num_rounds}"
        if text.count(before) != 1:
            raise BadInput(f"cannot set the rounds: no single line {before!r}", where=str(folder / "job.toml"))
        (folder / "job.toml").write_text(text.replace(before, f"num_rounds = {rounds}"))
    return read_job(folder)


async def _follow(
    console: Console, made: Federation, session: AdminSession, run: int, crash: bool
) -> tuple[list[Any], list[str]]:
    """Show the run to its end; with ``crash``, kill -9 the server and a clinic on the way, and start them again."""
    victims = {2: SERVER, 4: next(iter(made.layout.clients))} if crash else {}
    events: list[Any] = []
    notes: list[str] = []
    with LiveView(console) as view:
        async for event in session.watch(run):
            events.append(event)
            view.feed(asdict(event))
            if event.kind == "update_accepted" and event.data["round"] in victims:
                name = victims.pop(event.data["round"])
                view.note(f"kill -9 {name} (process {made.pid(name)})")
                began = time.monotonic()
                await made.kill(name)
                await made.start(name)
                notes.append(f"{name} was killed (kill -9) in round {event.data['round']} and started again")
                view.note(f"{name} started again after {time.monotonic() - began:.2f} s")
    return events, notes


def _report(console: Console, where: Path, job: Job, facts: RunFacts, events: list[dict[str, Any]]) -> None:
    recipe = Recipe(**job.client.trainer.options["args"])
    others = baselines(where / "data", Training(job.server.num_rounds, job.server.seed, recipe, job.model.args))
    federated = {}
    for which in ("last", "best"):
        with TensorFile(where / f"{which}.safetensors") as file:
            federated[which] = {name: array.copy() for name, array in file.items()}
    results = compare(where / "data", facts, events, federated, others)
    html, json = write_report(where, results)
    console.print(table(results))
    console.print(f"Report: {html}\n        {json}", soft_wrap=True)
