"""Drives a round: does what the round asks, tells it what happened. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from rondo.base.errors import RondoError, RunAborted, RunFailed
from rondo.jobs.job import Job
from rondo.ledger import events as event_rows
from rondo.ledger import models as model_rows
from rondo.ledger import rounds as rows
from rondo.ledger import runs as run_rows
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.rounds import Contribution, Key
from rondo.ledger.runs import Run
from rondo.rounds import events as e
from rondo.rounds.orders import TRAINING, failure
from rondo.rounds.round import Plan, Round, Waiting
from rondo.rounds.workflow import Step
from rondo.server.checkpoints import write_checkpoints
from rondo.server.crew import Crew
from rondo.server.ending import see_no_machine_fault
from rondo.server.folded import Folded, made_for
from rondo.server.keeping import drop_updates, keep_updates
from rondo.server.metrics import append_metrics
from rondo.server.models import Models
from rondo.server.recoding import Made, Recoding
from rondo.server.store import Store
from rondo.server.weighing import weighed

log = logging.getLogger("rondo.rounds")

MOMENT = 0.25  # seconds: who waits for less need not be told for whom

Mailbox = asyncio.Queue[e.Event | Exception]  # a fault of this machine ends the playing, not the round


class Stage(Protocol):
    """What is done when a round asks for it: a training round folds files, a dispatch has nothing to fold."""

    async def enough(self) -> None: ...

    async def waits(self, waiting: Waiting) -> None: ...

    async def fold(self) -> e.Event: ...

    async def commit(self) -> None: ...

    async def failed(self) -> None: ...


class Conductor:
    """Plays one round to its end on a stage: commands are carried out, timers and folding report as news."""

    def __init__(self, round_: Round, mailbox: Mailbox, stage: Stage) -> None:
        self._round = round_
        self._mailbox = mailbox
        self._stage = stage
        self._timers: list[asyncio.TimerHandle] = []
        self._folding: asyncio.Task[None] | None = None
        self._told: Waiting | None = None
        self._due = False  # to say what is waited for

    async def play(self, known: Iterable[e.Event]) -> None:
        """Begin with ``known`` news. Raises ``RunFailed`` with the first failure, ``RunAborted``, ``MachineFault``."""
        commands = self._round.open()
        for event in known:
            commands += self._round.handle(event)
        try:
            while True:
                for command in commands:
                    await self._carry_out(command)
                if self._round.over:
                    return
                commands = self._round.handle(await self._news())
        finally:
            for timer in self._timers:
                timer.cancel()
            if self._folding is not None:
                self._folding.cancel()
                await asyncio.gather(self._folding, return_exceptions=True)

    async def _news(self) -> e.Event:
        news: e.Event | Exception | None = None
        if self._due:
            with suppress(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    news = await self._mailbox.get()
            if news is None:
                await self._announce()
        news = news or await self._mailbox.get()
        if isinstance(news, Exception):
            raise news
        return news

    async def _carry_out(self, command: e.Command) -> None:
        match command:
            case e.SetTimer(name, seconds):
                loop = asyncio.get_running_loop()
                self._timers.append(loop.call_later(seconds, self._mailbox.put_nowait, e.TimeUp(name)))
            case e.NoteEnough():
                await self._stage.enough()
            case e.Announce():
                self._due = True
            case e.Fold():
                self._folding = asyncio.create_task(self._fold())
            case e.Commit():
                await self._stage.commit()
            case e.Leave():
                await self._stage.failed()
            case e.Fail(why):
                await self._stage.failed()
                raise RunFailed.of(why)
            case e.Abandon(reason):
                await self._stage.failed()
                raise RunAborted(reason)

    async def _announce(self) -> None:
        self._due, waiting = False, self._round.waiting()
        if waiting != self._told:
            self._told = waiting
            await self._stage.waits(waiting)

    async def _fold(self) -> None:
        try:
            self._mailbox.put_nowait(await self._stage.fold())
        except Exception as error:  # noqa: BLE001 it goes on in ``play``, which waits for this
            self._mailbox.put_nowait(error)


class TrainingRound:
    """One train or validate round of one run; killed and played again, it goes on where it was."""

    def __init__(self, store: Store, run: Run, job: Job, crew: Crew, step: Step) -> None:
        self._store = store
        self._run = run
        self._job = job
        self._crew = crew
        self._models = Models(store, run, job)
        self._step = step
        self._key: Key = (run.id, step.round, step.task)
        self._updates: Sequence[Contribution] = ()
        self._recoding = Recoding(store, run, job, crew.fold, crew.own)
        self._folded: Folded | None = None
        self._made: Made | None = None

    async def open(self) -> tuple[Round, list[e.Event]]:
        """Open the round or find it as it was; the news is what a driver that lived through it would have had."""
        row, news = await self._store.do(self._opening)
        server, now = self._job.server, self._store.clock.now()
        waited = 0.0 if row.enough_at is None else now - row.enough_at
        timeout = max(0.0, row.opened_at + server.round_timeout - now) if server.round_timeout else None
        await self._store.wake_participants(self._run.id)
        return Round(Plan(server.min_clients, max(0.0, server.wait_after_min_clients - waited), timeout)), news

    def _opening(self, tx: Tx) -> tuple[rows.RoundRow, list[e.Event]]:
        now = self._store.clock.now()
        if rows.get(tx, self._key) is None:
            data = {"round": self._step.round, "rounds": self._run.num_rounds, "task": self._step.task}
            event_rows.record(tx, now, self._run.id, "round_opened", data)
        row = rows.open_round(tx, self._key, self._step.version, now)
        parts, here = run_rows.taking_part(tx, self._run.id), session_rows.names(tx)
        able = [p.client for p in parts if p.state in TRAINING and p.client in here]
        news: list[e.Event] = [e.ClientJoined(client) for client in able]
        news += [e.UpdateArrived(c.client) for c in rows.accepted(tx, self._key)]
        news += [e.TaskFailed(client, why) for client, why in rows.declined(tx, self._key).items()]
        lost = [p for p in parts if p.state == "failed" and p.changed_at >= row.opened_at]  # earlier ones are history
        news += [e.TaskFailed(p.client, p.reason or {}) for p in lost]
        if run_rows.only_validates(parts) or row.state == "failed":  # left before; what fails again does so first
            news.append(e.NobodyTrains())
        return row, [*news, e.TimeUp("grace")] if row.state == "folding" else news

    async def enough(self) -> None:
        await self._store.read(rows.note_enough, self._key, self._store.clock.now())

    async def waits(self, waiting: Waiting) -> None:
        data = {"round": self._step.round, "for": list(waiting.clients), "why": waiting.why, "then": waiting.then}
        await self._store.record(self._run.id, "waiting", data)

    async def fold(self) -> e.Event:
        """Fix what counts, then in the worker: the spooled updates become one file."""
        log.info("> aggregating: %d", self._step.round)
        try:
            self._updates = await self._store.do(rows.close_round, self._key)
            if self._step.task == "train":
                await self._store.record(self._run.id, "round_folding", {"round": self._step.round})
                self._folded = await self._fold_files()
                self._made = await self._recoding.made(self._folded.model, self._step.round + 1)
            return e.Folded()
        except RondoError as error:
            see_no_machine_fault(error)
            detail = {"traceback": error.detail}
            return e.FoldFailed(failure(str(error), site="server", round_number=self._step.round, detail=detail))

    async def _fold_files(self) -> Folded:
        model = await self._store.read(model_rows.get, self._run.id, self._step.version)
        assert model is not None
        server = self._job.server
        rule = {"name": server.aggregator.name, "options": dict(server.aggregator.options)}
        async with self._recoding.plain(self._updates, model.size) as paths:
            updates = weighed(server, self._updates, paths)
            request = {"do": "fold", "contributions": updates, "rule": rule, "exclude_vars": server.exclude_vars}
            request |= made_for(self._store, self._run.id, model)
            if self._crew.own is not None:
                return await self._crew.own.folded(self._crew.fold, self._updates, request)
            return Folded.of(await self._crew.fold.ask(request, None))

    async def commit(self) -> None:
        await self._commit()
        await write_checkpoints(self._store, self._run, self._job, self._crew.fold)

    async def _commit(self) -> None:
        folder = self._store.run_folder(self._run.number)
        if self._step.task == "validate":
            await self._models.measure(self._key, self._updates)
            await asyncio.to_thread(append_metrics, folder, self._updates)
            return
        assert self._folded is not None and self._made is not None
        kept = self._job.server.keep_updates
        await asyncio.to_thread(keep_updates, self._store, self._run, self._step.round, self._updates, kept)
        await self._models.commit(self._key, self._folded, self._made, self._updates)
        await asyncio.to_thread(append_metrics, folder, self._updates)
        await asyncio.to_thread(drop_updates, self._store, self._updates)

    async def failed(self) -> None:
        await self._store.read(rows.end_round, self._key, "failed", self._store.clock.now())
