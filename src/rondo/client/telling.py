"""What a client tells the server besides updates: how far it is, and what went wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rondo.base.errors import RondoError, YourFault
from rondo.net import methods
from rondo.net.channel import Channel
from rondo.net.retry import Backoff
from rondo.wire import rondo_pb2 as pb
from rondo.worker.host import TaskFailed

T = TypeVar("T")
Say = Callable[[pb.Report], Awaitable[pb.ReportReply]]

log = logging.getLogger("rondo.client")

SOON = 15.0  # seconds that a report may take
OFTEN = 0.5  # seconds between two notes of the same phase
LASTS = 0.5  # seconds until a note goes out: what is over sooner is no news
LONGEST = 20_000  # characters of a traceback that travel


async def patiently(step: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
    """The result of ``step``, repeated while it is the line's fault or the server's: its disk, its ledger, a defect.

    Raises what this client did wrong (``YourFault``), and ``GaveUp``.
    """
    tries = backoff.tries()
    while True:
        try:
            return await step()
        except YourFault:
            raise
        except RondoError as error:
            await tries.pause(error)


async def tell(channel: Channel, report: pb.Report, backoff: Backoff) -> pb.ReportReply:
    """Report until the server has heard it. Raises ``GaveUp`` when the patience of ``backoff`` ends."""
    return await patiently(lambda: channel.call(methods.REPORT, report, timeout=SOON), backoff)


class Telling:
    """Sends the newest note only, in the background: work never waits for it."""

    def __init__(self, run: int, say: Say) -> None:
        self._run = run
        self._say = say
        self._newest: pb.Report | None = None
        self._wake = asyncio.Event()
        self._phase = ""
        self._told = 0.0

    def phase(self, round_number: int, phase: str) -> None:
        """A new phase begins: told if it lasts."""
        self._phase = phase
        self._put(round_number, 0.0, "")

    def share(self, round_number: int, phase: str, share: float, detail: str = "") -> None:
        """How much of the phase is done (0..1): told now and then."""
        if phase == self._phase and asyncio.get_running_loop().time() - self._told >= OFTEN:
            self._put(round_number, share, detail)

    def moving(self, round_number: int, phase: str) -> Callable[[int, int], None]:
        """The same, for a transfer that counts bytes."""
        return lambda done, size: self.share(round_number, phase, done / max(size, 1))

    def _put(self, round_number: int, share: float, detail: str) -> None:
        self._told = asyncio.get_running_loop().time()
        progress = pb.Progress(phase=self._phase, fraction=share, detail=detail)
        self._newest = pb.Report(run=self._run, round=round_number, progress=progress)
        self._wake.set()

    def done(self) -> None:
        """The task is over: what was not told of it is no news any more."""
        self._newest = None

    async def run(self) -> None:
        """For ever: send what is newest."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(LASTS)  # the pace of notes, nothing is waited for
            self._wake.clear()
            newest, self._newest = self._newest, None
            if newest is not None:
                try:
                    await self._say(newest)
                except RondoError as error:
                    log.info("the server does not hear how far this is: %s", error)


def describe(error: RondoError, site: str, round_number: int) -> pb.Failure:
    """The failure as it travels: one line first, then what helps to find it."""
    failure = pb.Failure(error=str(error), site=site, round=round_number, traceback=error.detail[-LONGEST:])
    if isinstance(error, TaskFailed):
        failure.error, failure.traceback = error.error, error.traceback[-LONGEST:]
        failure.file, failure.line, failure.last_lines = error.file, error.line, error.last_lines[-LONGEST:]
    return failure
