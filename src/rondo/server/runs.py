"""Runs: one at a time, in the order they were submitted; each is taken up again where it was after a restart."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rondo.base.errors import MachineFault, WorkerDied
from rondo.jobs.job import Job, read_job
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import models as model_rows
from rondo.ledger import rounds as round_rows
from rondo.ledger import runs as rows
from rondo.ledger import turns
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Run
from rondo.ledger.sessions import Session
from rondo.net.retry import Backoff
from rondo.rounds import events as e
from rondo.rounds.round import Round, State
from rondo.rounds.workflow import Step, Workflow
from rondo.server.beginning import first_model, together
from rondo.server.checkpoints import write_checkpoints
from rondo.server.crew import Crew, open_crew
from rondo.server.crossing import CrossRound, cross_rounds, cross_step
from rondo.server.dispatch import Dispatch, join, open_to, welcoming
from rondo.server.ending import ended_by
from rondo.server.matrix import write_matrix
from rondo.server.metrics import write_metrics
from rondo.server.rights import Rights
from rondo.server.rounds import Conductor, Mailbox, TrainingRound
from rondo.server.store import Store
from rondo.server.sweeping import sweep_after

log = logging.getLogger("rondo.runs")

MOST_DEATHS = 3  # of the server's worker in one run, until the run fails by them


class Runs:
    """``tell`` takes the news, ``work`` plays the runs."""

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights
        self._run: Run | None = None
        self._mailbox: Mailbox = asyncio.Queue()
        self.round: Round | None = None  # what is being waited for, to be shown
        self.since = 0.0
        self._dispatching = False
        self._told: dict[str, Any] = {}

    def tell(self, run: int, *news: e.Event) -> None:
        """News for the round that ``run`` is in; for any other run it is too late to matter."""
        if self._run is not None and self._run.id == run:
            for event in news:
                self._mailbox.put_nowait(event)

    def prepared(self, run: int, client: str) -> None:
        """A client's code runs: the answer that the dispatch waits for; for a training round it can now take part."""
        self.tell(run, e.ClientJoined(client))
        if self._dispatching:
            self.tell(run, e.UpdateArrived(client))

    def left(self, session: Session) -> None:
        """This client is gone: nobody waits for it any more."""
        if self._run is not None:
            self.tell(self._run.id, e.ClientLeft(session.instance))

    async def newcomer(self, session: Session) -> None:
        """A client is there (again): where everybody is invited it takes part from the current round on (C1)."""
        client = session.instance
        run = await self._store.read(open_to, client)
        if run is None:
            return
        why = await asyncio.to_thread(welcoming(self._rights, run, self._code(run)), session)
        if await self._store.do(join, run.id, client, self._store.clock.now(), not why):
            self.tell(run.id, e.ClientJoined(client))
            self._store.bell.ring(f"client:{client}")
        elif why:
            await self._store.record(run.id, "client_not_invited", {"client": client, "reason": why})

    def _code(self, run: Run) -> Path:
        return self._store.run_folder(run.number) / "mmar_server"

    async def work(self) -> None:
        """For ever: play the oldest open run. A run ends here, whatever becomes of it.

        A fault of this machine (full disk, locked ledger, killed worker) ends nothing: the run is played again, from
        where the ledger says it is, after a pause. Only a worker that dies again and again fails its run.
        """
        faults = Backoff(random.Random(), first=1.0).tries()  # only spreads the tries
        deaths = 0
        while True:
            try:
                ticket = self._store.bell.ticket("runs")
                waiting = await self._store.read(rows.open_runs)
                if not waiting:
                    deaths = 0
                    await self._store.bell.wait("runs", ticket)
                    continue
                self._run, self._mailbox = waiting[0], asyncio.Queue()
                await self._to_the_end(self._run, deaths >= MOST_DEATHS)
                deaths = 0
                faults.progressed()
            except MachineFault as error:
                log.error("%s; the run goes on from the ledger", error)
                await self._waits(error)
                deaths += isinstance(error, WorkerDied)
                await faults.pause(error)
            finally:
                self._run, self.round = None, None

    async def _waits(self, error: MachineFault) -> None:
        """Let whoever watches see what the run waits for now, where that can be written down."""
        why = {"for": [], "why": str(error), "then": "goes on from where it was"}
        if self._run is not None and why != self._told:
            self._told = why
            with suppress(MachineFault):
                await self._store.record(self._run.id, "waiting", why)

    async def _to_the_end(self, run: Run, last_try: bool) -> None:
        try:
            await self._play(run)
            await self._end(run, "finished", None)
        except Exception as error:  # noqa: BLE001 whatever it is ends this run, not the server
            await self._end(run, *ended_by(error, last_try))

    async def _play(self, run: Run) -> None:
        folder, code = self._store.run_folder(run.number), self._code(run)
        unpacked = partial(asyncio.to_thread, unpack_once, self._store.blobs.local(run.package), run.package, code)
        await self._store.in_folders(unpacked)
        job = read_job(code)
        workflow = Workflow(run.start_round, run.num_rounds, job.server.final_validation)
        step = workflow.resume(*await self._store.read(_progress, run))
        await asyncio.to_thread(write_metrics, folder, await self._store.read(round_rows.of_number, run.number))
        await write_checkpoints(self._store, run, job)
        await write_matrix(self._store, run)
        if step.task == "finish" and await self._nothing_left(run, job):
            if await self._store.read(model_rows.last, run.id) is None:
                text = f"nothing to do: start_round {run.start_round}, num_rounds {run.num_rounds} (an absolute end)"
                await self._store.record(run.id, "nothing_to_do", {"text": text})
            return
        async with open_crew(self._store, run, job) as crew:
            ready = crew.fold.ask({"do": "open", "kind": "fold"})
            await together(self._dispatch(run, job), first_model(self._store, run, job, code, crew.own), ready)
            await self._rounds(run, job, crew, step)

    async def _nothing_left(self, run: Run, job: Job) -> bool:
        """Whether there is no cross-site validation to do; a model that was brought along is there only later."""
        begins = job.evaluation is not None and await self._store.read(model_rows.last, run.id) is None
        return not begins and (await self._store.read(cross_step, run)).task == "finish"

    async def _rounds(self, run: Run, job: Job, crew: Crew, step: Step) -> None:
        workflow = Workflow(run.start_round, run.num_rounds, job.server.final_validation)
        while step.task != "finish":
            if step.task == "validate":
                await self._advance(run, "validating")
            await self._conduct(run, TrainingRound(self._store, run, job, crew, step))
            if self.round is not None and self.round.state is State.LEFT:
                break
            step = workflow.after(step)
        await cross_rounds(self._store, run, job, crew.fold, partial(self._conduct, run))

    async def _conduct(self, run: Run, stage: Dispatch | TrainingRound | CrossRound) -> None:
        """What was told until now is in the ledger, which the stage reads: a late note of another stage is gone."""
        self._mailbox = asyncio.Queue()
        await self._store.read(rows.see_open, run.id)
        self.round, news = await stage.open()
        self.since = self._store.clock.now()
        await Conductor(self.round, self._mailbox, stage).play(news)

    async def _dispatch(self, run: Run, job: Job) -> None:
        await self._advance(run, "dispatching")
        if run.invites == "all" and run.state in ("submitted", "dispatching"):
            self._dispatching = True
            try:
                welcome = welcoming(self._rights, run, self._code(run))
                await self._conduct(run, Dispatch(self._store, run, job, welcome))
            finally:
                self._dispatching = False
        await self._advance(run, "running")

    # ---- states

    async def _advance(self, run: Run, state: str) -> None:
        await self._store.do(turns.advance, self._store.clock.now(), run, state)

    async def _end(self, run: Run, state: str, why: dict[str, Any] | None) -> None:
        ended = await self._store.do(turns.end, self._store.clock.now(), run.id, state, why)
        await self._store.wake_over(run.id)
        if ended and state == "finished":
            log.info("Server training has stopped. Run %d finished.", run.number)
        await sweep_after(self._store, run.id)


def _progress(tx: Tx, run: Run) -> tuple[int | None, bool]:
    """The last committed training round, and whether the last validation is done."""
    validated = round_rows.get(tx, (run.id, run.num_rounds, "validate"))
    return round_rows.last_committed(tx, run.id), validated is not None and validated.state == "committed"
