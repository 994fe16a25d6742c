"""Cross-site validation, driven: the rounds that collect the sites' best models and have each of them validated.

What is decided is in ``rondo.rounds.crossing``; what came of it is in the ledger, and from there in the run's folder.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rondo.base.errors import RondoError
from rondo.jobs.job import Job
from rondo.ledger import crossing as cross_rows
from rondo.ledger import events, models, rounds, runs, turns
from rondo.ledger import sessions as session_rows
from rondo.ledger.crossing import MISSING, CrossModel
from rondo.ledger.ledger import Tx
from rondo.ledger.rounds import Contribution, Key
from rondo.ledger.runs import Run
from rondo.rounds import events as e
from rondo.rounds.crossing import BEST, GLOBAL, asked, following
from rondo.rounds.round import Plan, Round, Waiting
from rondo.rounds.workflow import Step
from rondo.server.ending import see_no_machine_fault
from rondo.server.keeping import drop_updates
from rondo.server.matrix import write_matrix
from rondo.server.recoding import Made, Recoding
from rondo.server.store import Store
from rondo.tensors.digest import FileInfo
from rondo.worker.host import Worker

log = logging.getLogger("rondo.rounds")


def cross_step(tx: Tx, run: Run) -> Step:
    """The step of cross-site validation to be in; "finish" where there is none, or it is over."""
    last = models.last(tx, run.id)
    if last is None:
        return Step("finish", run.num_rounds, run.num_rounds)
    return following(max(run.start_round, run.num_rounds), last.version, cross_rows.how_far(tx, run.id))


class CrossRound:
    """One round of it: killed and played again, it goes on where it was. It never fails the run."""

    def __init__(self, store: Store, run: Run, job: Job, worker: Worker, step: Step) -> None:
        self._store = store
        self._run = run
        self._worker = worker
        self._step = step
        self._key: Key = (run.id, step.round, step.task)
        server = job.server
        self._seconds = server.submit_model_timeout if step.task == "collect" else server.validation_timeout
        self._recoding = Recoding(store, run, job, worker)
        self._answers: Sequence[Contribution] = ()
        self._made: dict[str, Made] = {}
        self._broken: dict[str, str] = {}

    async def open(self) -> tuple[Round, list[e.Event]]:
        """Open the round or find it as it was. With nobody to wait for it is over at once."""
        row, news = await self._store.do(self._opening)
        now = self._store.clock.now()
        waited = 0.0 if row.enough_at is None else now - row.enough_at
        await self._store.wake_participants(self._run.id)
        doing = "send their best local models" if self._step.task == "collect" else "validate a model"
        words = (f"the sites {doing}, within {self._seconds:g} s", "goes on without them")
        return Round(Plan(0, max(0.0, self._seconds - waited), grace=words)), news

    def _opening(self, tx: Tx) -> tuple[rounds.RoundRow, list[e.Event]]:
        now, key = self._store.clock.now(), self._key
        if rounds.get(tx, key) is None:
            names = [model.name for model in cross_rows.of_round(tx, key[0], key[1])]
            about = {"round": key[1], "task": key[2], "models": names}
            events.record(tx, now, key[0], "cross_opened", about)
        row = rounds.open_round(tx, key, self._step.version, now)
        here = session_rows.names(tx)
        parts = [part for part in runs.taking_part(tx, key[0]) if asked(key[2], part.state, part.cross)]
        news: list[e.Event] = [e.ClientJoined(part.client) for part in parts if part.client in here]
        news += [e.UpdateArrived(one.client) for one in rounds.accepted(tx, key)]
        news += [e.TaskFailed(client, why) for client, why in rounds.declined(tx, key).items()]
        closed = row.state == "folding" or not news
        return row, [*news, e.TimeUp("grace")] if closed else news

    async def enough(self) -> None:
        """The time counts from here, also after a restart."""
        await self._store.read(rounds.note_enough, self._key, self._store.clock.now())

    async def waits(self, waiting: Waiting) -> None:
        data = {"round": self._step.round, "for": list(waiting.clients), "why": waiting.why, "then": waiting.then}
        await self._store.record(self._run.id, "waiting", data)

    async def fold(self) -> e.Event:
        """Fix what counts. What the sites have sent becomes models: each is the mean of one update."""
        self._answers = await self._store.do(rounds.close_round, self._key)
        if self._step.task == "collect":
            for answer in self._answers:
                await self._make(answer)
        return e.Folded()

    async def _make(self, answer: Contribution) -> None:
        base = await self._store.read(models.get, self._run.id, self._step.version)
        assert base is not None
        self._store.room.need(base.size, "the model of a site")
        update = {
            "site": answer.client, "path": str(self._store.upload(answer.client, answer.digest)), "kind": answer.kind,
            "omitted": list(answer.omitted), "weight": 1.0, "scale": 1.0,
        }  # fmt: skip
        request: dict[str, Any] = {
            "do": "fold", "contributions": [update], "rule": {"name": "mean", "options": {}},
            "base": str(self._store.blobs.local(base.digest)),
            "out": str(self._store.spool / f".folded-{self._run.id}"),
        }  # fmt: skip
        try:
            said = await self._worker.ask(request, None)
            made = await self._recoding.made(FileInfo(Path(said["path"]), said["digest"], said["size"]))
        except RondoError as error:  # this model is missing; a fault of this machine is none of the site's
            see_no_machine_fault(error)
            self._broken[answer.client] = f"what it sent cannot be made into a model: {error}"
            return
        await asyncio.to_thread(made.keep, self._store.blobs)
        self._made[answer.client] = made
        log.info("Received best model from %s.", answer.client)

    async def commit(self) -> None:
        """The end of the round, and what it found, become true together; then the files follow."""
        await self._store.do(self._end)
        if self._step.task == "collect":
            await asyncio.to_thread(drop_updates, self._store, self._answers)
        else:
            await write_matrix(self._store, self._run)

    def _end(self, tx: Tx) -> None:
        runs.see_open(tx, self._run.id)
        now, key = self._store.clock.now(), self._key
        cross_rows.excuse(tx, key, self._seconds, now)
        declined = {client: str(why.get("error", "")) for client, why in rounds.declined(tx, key).items()}
        declined |= self._broken
        data: dict[str, Any] = {"round": key[1], "missing": declined}
        if key[2] == "collect":
            found = self._collected(tx, declined)
            cross_rows.put(tx, found)
            data |= {"models": [model.name for model in found if model.round != MISSING]}
            kind = "cross_collected"
        else:
            data |= {"models": [model.name for model in cross_rows.of_round(tx, key[0], key[1])]}
            data |= {"metrics": {answer.client: dict(answer.metrics) for answer in self._answers}}
            kind = "cross_validated"
        rounds.end_round(tx, key, "committed", now)
        events.record(tx, now, key[0], kind, data)
        events.forget_progress(tx, key[0])

    def _collected(self, tx: Tx, declined: Mapping[str, str]) -> list[CrossModel]:
        """Everything that is to be validated, by name; or why it is missing."""
        run, places = self._run.id, _Rounds(self._step.round + 1)
        found: list[CrossModel] = []
        for part in runs.taking_part(tx, run):
            made = self._made.get(part.client)
            if made is not None:
                about = (
                    places.of(made.file.digest),
                    made.file.digest,
                    made.file.size,
                    made.sent.digest,
                    made.sent.size,
                )
                found.append(CrossModel(run, len(found), part.client, *about))
            else:
                why = cross_rows.absence(part) or declined.get(part.client, "")
                found.append(CrossModel(run, len(found), part.client, MISSING, missing=why))
        row = runs.get(tx, run)
        best = row.best_version if row is not None else None
        for name, version in ((GLOBAL, self._step.version), (BEST, best)):
            model = models.get(tx, run, version) if version is not None else None
            if model is not None:
                about = (places.of(model.digest), model.digest, model.size, model.sent, model.sent_size)
                found.append(CrossModel(run, len(found), name, *about))
        return found

    async def failed(self) -> None:
        await self._store.read(rounds.end_round, self._key, "failed", self._store.clock.now())


class _Rounds:
    """Which round validates a file; the same for the same file."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._known: dict[str, int] = {}

    def of(self, digest: str) -> int:
        if digest not in self._known:
            self._known[digest], self._next = self._next, self._next + 1
        return self._known[digest]


def _given(tx: Tx, run: Run, name: str) -> None:
    """Of a job that trains nothing one model is under test: the one that it began with."""
    model = models.last(tx, run.id)
    if model is not None and not cross_rows.of_run(tx, run.id):
        files = (model.digest, model.size, model.sent, model.sent_size)
        cross_rows.put(tx, [CrossModel(run.id, 0, name, model.version + 1, *files)])


async def cross_rounds(
    store: Store, run: Run, job: Job, worker: Worker, conduct: Callable[[CrossRound], Awaitable[None]]
) -> None:
    """All that is left of the run's cross-site validation."""
    if job.evaluation is not None:
        await store.do(_given, run, job.evaluation.name)
    while (step := await store.read(cross_step, run)).task != "finish":
        await store.do(turns.advance, store.clock.now(), run, "validating")
        await conduct(CrossRound(store, run, job, worker, step))
