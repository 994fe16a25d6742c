"""One run on this client: its package, its worker, one task at a time: pull, train, filter, send."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from rondo.base.errors import BadInput, Conflict, GaveUp, MachineFault, NotFound, Refused, RondoError, WorkerDied
from rondo.base.spare import give_up
from rondo.client.asking import DOING, Asking
from rondo.client.audit import asked_in
from rondo.client.fetching import fetch_job, see_room
from rondo.client.gate import Parcel
from rondo.client.passage import Answer, Measured, Passage, answered, take_over
from rondo.client.place import Place
from rondo.client.rules import Rules
from rondo.client.sweeping import keep_only, sweep_run
from rondo.client.telling import Say, Telling, describe, tell
from rondo.jobs.job import Job, read_job
from rondo.net.channel import Channel
from rondo.net.retry import Backoff
from rondo.net.transfer import pull, push
from rondo.rounds.crossing import UPLOADS
from rondo.tensors.digest import FileInfo, parse_digest
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import TaskFailed, Worker, open_worker

log = logging.getLogger("rondo.tasks")

MOMENT = 2.0  # seconds in which the answer to what was last sent comes back, when the run is over by it


class Engagement:
    """Taking part in one run. ``hold`` tells the waiting call what is in hand: (phase, round, task)."""

    def __init__(
        self, order: pb.Engage, place: Place, channel: Channel, backoff: Backoff, say: Say, changed: asyncio.Event
    ) -> None:
        self.run: int = order.run
        self.hold: tuple[str, int, str] = ("preparing", -1, "")
        self._changed = changed
        self._order = order
        self._place = place
        self._channel = channel
        self._backoff = backoff
        self._work: asyncio.Queue[pb.Work | None] = asyncio.Queue()  # None: there is no more
        self._ready = False
        self._ending = asyncio.Event()
        self._telling = Telling(order.run, say)

    def give(self, work: pb.Work) -> None:
        """A task; it is refused silently unless this client is ready for one (the order was a stale one)."""
        if self.hold[0] == "ready":
            self._hold("working", work.round, work.task)
            self._work.put_nowait(work)

    async def finish(self) -> bool:
        """There are no more tasks. Whether the worker ends by itself: not if it has one in hand a moment later."""
        self._work.put_nowait(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT if self._ready else 0):
                await self._ending.wait()
        return self._ending.is_set()

    def _hold(self, phase: str, round_number: int = -1, task: str = "") -> None:
        self.hold = (phase, round_number, task)
        self._changed.set()

    async def live(self) -> None:
        """Prepare, then work until cancelled, or told to ``finish``. A worker that dies is replaced and its task tried
        again."""
        telling = asyncio.create_task(self._telling.run())
        try:
            about = f"run {self.run} in run_{self._order.number}, package {self._order.package.digest}"
            self._place.diary.tell(asked_in(self._order), f"take part in {self._order.job}", about)
            rules, job = await self._fetch()
            await rules.keep(self._rounds(rules, job))
        except (GaveUp, Refused):
            raise
        except RondoError as error:
            failure = describe(error, self._place.instance, -1)
            log.error("run %d cannot be prepared: %s", self._order.number, failure.error)
            self._place.diary.note(asked_in(self._order), "prepare_failed", f"run {self.run}: {failure.error}")
            await self._report(pb.Report(run=self.run, round=-1, prepare_failed=failure))
            self._hold("failed")
        finally:
            telling.cancel()
            await asyncio.to_thread(sweep_run, self._place.cache)

    async def _fetch(self) -> tuple[Rules, Job]:
        """The package, let in by the site, unpacked and read; and what the site makes of it."""
        number, asked = self._order.number, asked_in(self._order)
        parcel = Parcel(self._order.package, self._order.voucher, asked)
        policy = await fetch_job(self._channel, parcel, self._place, number, self._backoff)
        return Rules(policy, self._place, number, _show), read_job(self._place.code(number))

    async def _rounds(self, rules: Rules, job: Job) -> None:
        work: pb.Work | None = None
        deaths = 0
        while True:
            try:
                asking = Asking(rules, job)
                async with open_worker(rules.training()) as worker, rules.passage(job) as passage:
                    await worker.ask(rules.opening(job, self._order.seed, self._order.gpus))
                    if not self._ready:
                        self._ready = True
                        await self._report(pb.Report(run=self.run, prepared=asking.prepared))
                    if work is None:
                        self._hold("ready")
                    while True:
                        work = work or await self._work.get()
                        if work is None:
                            return self._ending.set()
                        await self._task(worker, passage, asking, work)
                        self._telling.done()
                        work, deaths = None, 0
                        self._hold("ready")
            except WorkerDied as error:
                deaths += 1
                log.warning("%s", error)
                if deaths <= job.client.attempts:
                    continue
                if work is None:  # it does not even stay alive without work
                    raise
                await self._sit_out(work, error)
                work, deaths = None, 0

    async def _report(self, report: pb.Report) -> None:
        """What a round waits for: with the patience of a model exchange."""
        await tell(self._channel, report, self._backoff)

    # ---- one task

    async def _task(self, worker: Worker, passage: Passage, asking: Asking, work: pb.Work) -> None:
        try:
            model = await passage.model(await self._model(work))
            request = asking.request(work, model)
            began = asyncio.get_running_loop().time()
            doing, made = DOING.get(work.task, "validating"), Path(request["out"])
            self._telling.phase(work.round, doing)
            answer = await worker.ask(
                request, lambda share, detail: self._telling.share(work.round, doing, share, detail)
            )
            if request["do"] == "validate":
                measured = pb.Measured(**answered(answer, Measured))
                await self._report(pb.Report(run=self.run, round=work.round, measured=measured))
                return
            seconds, out = asyncio.get_running_loop().time() - began, model.with_name(made.name)
            answer = take_over(answer, made, out) | {"seconds": seconds}
            await self._send(work, await passage.update(work, model, answer))
            give_up(out, made.parent)
        except WorkerDied:
            raise
        except Conflict as error:  # the round was over before this client was: the next task follows
            log.warning("run %d round %d: %s", self._order.number, work.round, error.what)
        except (TaskFailed, BadInput, NotFound, MachineFault) as error:
            await self._sit_out(work, error)  # where the round is over, the server makes nothing of it

    async def _model(self, work: pb.Work) -> Path:
        """The global model as a file; one that is here already is not sent again, older ones go."""
        into = self._place.cache / parse_digest(work.model.digest)
        into.parent.mkdir(parents=True, exist_ok=True)
        self._telling.phase(work.round, "downloading")
        see_room(into, work.model.size, work.model.size * (work.task in UPLOADS), "the model, and an update,")
        await pull(self._channel, work.model, into, self._backoff, self._telling.moving(work.round, "downloading"))
        await asyncio.to_thread(keep_only, into)
        return into

    async def _send(self, work: pb.Work, answer: Answer) -> None:
        claim = pb.Claim(
            run=self.run, round=work.round, task=work.task, kind=answer["kind"], samples=answer["samples"],
            steps=answer["steps"],
            metrics=answer["metrics"], local_metrics=answer["local_metrics"], omitted=answer["omitted"],
            seconds=answer["seconds"],
        )  # fmt: skip
        file = FileInfo(Path(answer["path"]), answer["digest"], answer["size"])
        about = f"run {self.run} round {work.round}: {file.size} bytes {file.digest}"
        with self._place.diary.doing(asked_in(self._order), "send_update", about, often=True):
            await self._push(work, file, pb.Offer(update=claim))
        log.info("run %d round %d: update accepted (%d bytes)", self._order.number, work.round, file.size)

    async def _push(self, work: pb.Work, file: FileInfo, offer: pb.Offer) -> None:
        moving, tries = self._telling.moving(work.round, "uploading"), self._backoff.tries()
        while True:
            self._telling.phase(work.round, "uploading")
            try:
                return await push(self._channel, file, offer, self._backoff, moving)
            except MachineFault as error:  # the server's: what was trained waits here until there is room for it
                self._telling.phase(work.round, "waiting for room at the server")
                await tries.pause(error)

    async def _sit_out(self, work: pb.Work, error: RondoError) -> None:
        failure = describe(error, self._place.instance, work.round)
        log.error("run %d round %d: %s", self._order.number, work.round, failure.error)
        await self._report(pb.Report(run=self.run, round=work.round, task_failed=failure))


def _show(line: str) -> None:
    """What user code prints is in the run's log, all of it; here it is seen as it comes."""
    log.info("| %s", line)
