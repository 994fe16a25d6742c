"""The client program: log in, keep a waiting call open, do what the answer says."""

from __future__ import annotations

import asyncio
import logging
import random
import shlex
from contextlib import closing, suppress
from pathlib import Path

from rondo.base.errors import Refused, RondoError, YourFault
from rondo.base.ids import new_token
from rondo.base.rooms import listed
from rondo.client.answers import Answers, only_looks
from rondo.client.audit import Asked, Diary, asked_in
from rondo.client.place import Place, see_own_name
from rondo.client.policy import read_policy
from rondo.client.seat import Seat, site_secret, take_seat
from rondo.client.sweeping import sweep_at_log_in, sweep_idle
from rondo.client.tasks import Engagement
from rondo.client.telling import patiently, tell
from rondo.client.told import in_force
from rondo.commands.rows import encode
from rondo.net import methods
from rondo.net.channel import Channel, open_channel
from rondo.net.errors import status_of
from rondo.net.retry import Backoff
from rondo.pki.kit import Kit
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb

log = logging.getLogger("rondo.client")

PATIENCE = 30.0  # seconds a waiting call may be held; up to a third less, or all clients of a server would ask at once
SLACK = 15.0  # seconds more until the connection is taken for dead
FAREWELL = 3.0  # seconds that saying goodbye may take
QUICK = 0.5  # seconds of work during which the server need not be asked whether to go on with it


async def join(kit: Kit, version: str, data: Path | None = None, stop: asyncio.Event | None = None) -> str:
    """Be a client until ``stop`` is set or the server says to leave; returns "" or "restart".

    Raises ``Refused`` (identity), ``GaveUp`` (the kit's ``retry_timeout`` ran out in a model exchange), ``NoSpace``,
    ``BadInput`` for a site policy that cannot be read.
    """
    for subject, holds in in_force(read_policy(kit.workspace)).items():
        log.info("site policy, %s: %s", subject, holds)
    with take_seat(kit.workspace) as seat, closing(Diary(kit.workspace)) as diary:
        async with open_channel(kit) as channel:
            return await Client(kit, version, data, seat, channel, diary).live(stop or asyncio.Event())


class Client:
    def __init__(self, kit: Kit, version: str, data: Path | None, seat: Seat, channel: Channel, diary: Diary) -> None:
        self.instance = ""
        self._kit = kit
        self._version = version
        self._data = data
        self._seat = seat
        self._channel = channel
        self._diary = diary
        self._rng = random.Random()  # only spreads calls and reconnections; no result depends on it
        self._patient = Backoff(self._rng)
        self._exchange = Backoff(self._rng, patience=kit.settings.retry_timeout)
        self._heartbeat = 60.0
        self._engaged: tuple[Engagement, asyncio.Task[None]] | None = None
        self._asks: dict[str, asyncio.Task[None]] = {}
        self._answers = Answers(channel, self._patient)
        self._to_sweep = True  # once there is no run for this client
        self._changed = asyncio.Event()
        self._logged_in = asyncio.Event()
        self._logging_in = asyncio.Lock()

    async def log_in(self) -> None:
        """Take up the seat's session, or a new one. Patient while the server is not there."""
        token = self._seat.taken.token if self._seat.taken else new_token()
        self._seat.remember(self.instance, token)  # before it is used: a log-in whose answer is lost is asked for again
        hello = pb.Hello(
            project=self._kit.project, name=self._kit.name, protocol=PROTOCOL, version=self._version,
            role="client", token=token, capabilities=[f"codec:{name}" for name in listed("rondo.codecs")],
            audit=await self._diary.head(),
        )  # fmt: skip
        try:
            self._take(await patiently(lambda: self._register(hello), self._patient))
        except YourFault as error:
            self._diary.note(Asked(self._kit.name), "log_in", f"refused: {error}")
            raise
        self._diary.note(Asked(self.instance), "log_in", f"{self._kit.project} at {self._kit.host}:{self._kit.port}")
        log.info("Successfully registered client:%s for %s.", self.instance, self._kit.project)

    async def _register(self, hello: pb.Hello) -> pb.Welcome:
        call = asyncio.create_task(self._channel.call(methods.REGISTER, hello, timeout=SLACK))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            with suppress(TimeoutError, RondoError):  # the server may have let it in: then it has to say goodbye
                async with asyncio.timeout(FAREWELL):
                    self._take(await call)
            raise

    def _take(self, welcome: pb.Welcome) -> None:
        see_own_name(welcome.instance, self._kit.name)
        self.instance, self._heartbeat = welcome.instance, welcome.heartbeat
        self._channel.token = welcome.token
        self._logged_in.set()  # also if the next line fails: then this client says goodbye
        self._seat.remember(welcome.instance, welcome.token)

    async def live(self, stop: asyncio.Event) -> str:
        """Log in, beat, wait for orders and carry them out, until told to stop; says goodbye."""
        ways = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._orders()),
            asyncio.create_task(self._beat()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            how = ways[1].result() if ways[1].done() else ""
            if ways[2].done():
                ways[2].result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for answer in self._asks.values():
                answer.cancel()
            await asyncio.gather(*self._asks.values(), return_exceptions=True)
            await self._disengage()
            if self._logged_in.is_set():
                await self._quit()
        return str(how)

    async def _quit(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                self._diary.note(Asked(self.instance), "log_out")
                await self._channel.call(methods.QUIT, pb.Quit(reason="quit", audit=await self._diary.head()))
                self._seat.forget()
        except (TimeoutError, RondoError) as error:
            log.info("left without saying goodbye: %s", error)

    async def _beat(self) -> None:
        """A sign of life every ``heartbeat`` seconds; a lost one is followed by the next."""
        await self._logged_in.wait()
        while True:
            await asyncio.sleep(self._heartbeat)  # the interval itself, nothing is waited for
            try:
                beat = pb.Beat(audit=await self._diary.head())
                await self._channel.call(methods.BEAT, beat, timeout=SLACK)
            except Refused as error:
                await self._again(error)
            except RondoError as error:
                log.info("heartbeat: %s", error)

    async def _again(self, error: Refused) -> None:
        """The server does not know this session any more: log in again. Any other refusal is final."""
        if status_of(error) != "UNAUTHENTICATED":
            raise error
        lost = self._channel.token
        async with self._logging_in:
            if self._channel.token == lost:  # otherwise somebody else has done it meanwhile
                log.warning("%s; logging in again", error)
                await self.log_in()

    # ---- orders

    async def _orders(self) -> str:
        await self.log_in()
        await asyncio.to_thread(sweep_at_log_in, self._kit.workspace, self.instance)
        while True:
            order = await self._next()
            match order.WhichOneof("what"):
                case "nothing" if self._to_sweep:
                    await self._sweep()
                case "engage":
                    await self._engage(order.engage)
                case "work" if self._engaged and self._engaged[0].run == order.work.run:
                    self._engaged[0].give(order.work)
                case "recall":
                    log.info("recalled: %s", order.recall.reason)
                    self._diary.note(asked_in(order.recall), "recall", f"run {order.recall.run}: {order.recall.reason}")
                    await self._disengage(order.recall.finished)
                    report = pb.Report(run=order.recall.run, stopped=pb.Stopped(reason=order.recall.reason))
                    await tell(self._channel, report, self._exchange)
                    await self._sweep()
                case "ask" if order.ask.id not in self._asks:
                    self._asks[order.ask.id] = asyncio.create_task(self._answer(order.ask))
                case "leave" if await self._counts(""):
                    log.info("Shutdown the client: %s", order.leave.reason)
                    how = "restart" if order.leave.restart else ""
                    self._diary.note(asked_in(order.leave), how or "shutdown", order.leave.reason)
                    return how

    async def _sweep(self) -> None:
        """Where the server has no run for this client, and nobody deploys one."""
        if not (self._engaged or self._asks):
            self._to_sweep = False
            await asyncio.to_thread(sweep_idle, self._kit.workspace, self.instance)

    async def _next(self) -> pb.Order:
        """The answer to one waiting call, which is made anew as soon as something in hand changes."""
        tries = self._patient.tries()
        exchange = self._exchange.tries()
        while True:
            self._changed.clear()
            await self._look_after_engagement()
            holding = self._holding()
            if holding.phase == "working" and await self._changes_within(QUICK):
                continue
            call = asyncio.create_task(self._channel.call(methods.WAIT, holding, timeout=PATIENCE + SLACK))
            change = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait((call, change), return_when=asyncio.FIRST_COMPLETED)
                if call.done():
                    return call.result()
            except Refused as error:
                await self._again(error)
            except YourFault:
                raise
            except RondoError as error:
                # Whoever asks for a model has the kit's patience, whoever trains has all the time there is (S1).
                await (tries if holding.phase == "working" else exchange).pause(error)
            finally:
                call.cancel()
                change.cancel()
                await asyncio.gather(call, change, return_exceptions=True)

    async def _changes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._changed.wait()
        except TimeoutError:
            return False

    async def _look_after_engagement(self) -> None:
        """What ended the engagement ends the client, but for a session that the server no longer knows."""
        if self._engaged and self._engaged[1].done():
            try:
                self._engaged[1].result()
            except Refused as error:
                self._engaged = None
                await self._again(error)

    def _holding(self) -> pb.Holding:
        engagement = self._engaged[0] if self._engaged else None
        phase, round_number, task = engagement.hold if engagement else ("idle", -1, "")
        return pb.Holding(
            run=engagement.run if engagement else 0, phase=phase, round=round_number, task=task,
            patience=PATIENCE * self._rng.uniform(2 / 3, 1),
            asks=list(self._asks),
        )  # fmt: skip

    async def _engage(self, order: pb.Engage) -> None:
        if self._engaged and self._engaged[0].run == order.run:
            return
        await self._disengage()
        log.info("run %d (%s): preparing", order.number, order.job)
        self._to_sweep = True
        engagement = Engagement(order, self._place(), self._channel, self._exchange, self._say, self._changed)
        task = asyncio.create_task(engagement.live())
        task.add_done_callback(lambda _: self._changed.set())
        self._engaged = (engagement, task)

    async def _disengage(self, finished: bool = False) -> None:
        """End what is done for the run; its processes are gone when this returns. Those of a run that has ``finished``
        may end by themselves."""
        if self._engaged:
            engagement, task = self._engaged
            if not (finished and await engagement.finish()):
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._engaged = None

    def _place(self) -> Place:
        return Place(self.instance, self._kit, self._data, site_secret(self._kit.workspace), self._diary)

    async def _say(self, report: pb.Report) -> pb.ReportReply:
        return await tell(self._channel, report, self._patient)

    # ---- questions

    async def _counts(self, ask: str) -> bool:
        """Does an admin still wait for it? An order may have lain here while this process, or the line, stood still.

        ``ask`` "": for this client to leave.
        """
        return (await self._say(pb.Report(begun=pb.Begun(ask=ask)))).counted

    async def _answer(self, ask: pb.Ask) -> None:
        """Carry out a command for this site; errors are answers too."""
        if only_looks(ask.name) or await self._counts(ask.id):
            answer, asked = pb.Answer(id=ask.id), asked_in(ask)
            try:
                with self._diary.doing(asked, ask.name, shlex.join(word[:80] for word in ask.args)):
                    rows = await self._answers.rows(self._place(), ask.name, ask.args, asked)
                    answer.rows.extend(encode(row) for row in rows)
            except RondoError as error:
                answer.error, answer.code = str(error), error.code
            await self._say(pb.Report(answer=answer))
        self._asks.pop(ask.id, None)
        self._changed.set()
