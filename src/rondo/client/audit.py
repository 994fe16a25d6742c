"""The site's own audit.log: what was asked of it, by whom, what it did, and what left the house.

The server learns no more of it than where its chain stands (a number and a hash, with log-in and heartbeat), which it
writes into its own audit log: so what is cut off here later is missed there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rondo.base.chain import Head, Link, entry
from rondo.base.clock import Clock, SystemClock
from rondo.base.errors import NoSpace, RondoError, SiteRefused
from rondo.base.journal import Fault, Journal, Place, examine
from rondo.wire import rondo_pb2 as pb

log = logging.getLogger("rondo.audit")

TOGETHER = 0.5  # seconds


@dataclass(frozen=True)
class Asked:
    """Who asked for something: ``user`` as the server names the admin, ``event`` in the server's audit log."""

    user: str = "server"
    event: str = ""


NOBODY = Asked()


def asked_in(order: pb.Engage | pb.Recall | pb.Leave | pb.Ask) -> Asked:
    """Who asked for this, as the server says."""
    return Asked(order.by or "server", order.event)


class Diary:
    """Writes the log; one for each process, however many share the workspace. Close it at the end.

    A site that cannot write its log begins nothing that would have to be in it, and ends what it does all the same.
    """

    def __init__(self, workspace: Path, clock: Clock | None = None) -> None:
        """Raises ``NoSpace``."""
        self._clock = clock or SystemClock()
        self._journal = Journal(workspace)
        self._safe = ""  # the head of what survives a loss of power
        self._waiting: list[tuple[float, Asked, str, str]] = []  # what is not written yet
        self._wrote = -TOGETHER  # when the last line was
        self._timer: asyncio.TimerHandle | None = None
        if self._journal.torn:
            log.warning("a torn line of %d bytes was taken off audit.log", self._journal.torn)
            self.note(Asked("client"), "repaired", f"a torn line of {self._journal.torn} bytes was taken off this log")

    def tell(self, asked: Asked, action: str, message: str = "") -> None:
        """One line, before something is begun: who is ``asked.user``, R is ``asked.event``. Raises ``NoSpace``."""
        self._waiting.append((self._clock.now(), asked, action, message))
        try:
            self._write()
        except NoSpace:
            self._waiting.pop()  # it is not begun
            raise

    def often(self, asked: Asked, action: str, message: str = "") -> None:
        """The same of what may be done many times a second: whatever follows a line within ``TOGETHER`` is one write,
        at the end of it. Raises ``NoSpace`` where that is not possible, or was not with those before."""
        if self._clock.ticks() - self._wrote >= TOGETHER:
            return self.tell(asked, action, message)
        self._waiting.append((self._clock.now(), asked, action, message))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER, self._late)
        return None

    def _late(self) -> None:
        try:
            self._write()
        except NoSpace as error:
            self._wrote = -TOGETHER  # the next one is not begun before these are written
            log.error("audit.log is behind: %s", error)

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._journal.add([entry(at, by.user, what, text, ref=by.event) for at, by, what, text in self._waiting])
        self._waiting.clear()
        self._wrote = self._clock.ticks()

    def note(self, asked: Asked, action: str, message: str = "") -> None:
        """The same of what is over, or stops: a full disk does not hinder that."""
        try:
            self.tell(asked, action, message)
        except NoSpace as error:
            log.error("not in audit.log: %s: %s: %s", action, message, error)

    @contextmanager
    def deciding(self, asked: Asked, about: str) -> Iterator[None]:
        """Around what asks the site's own policy: allowed, or why it was refused."""
        try:
            yield
        except SiteRefused as error:
            self.note(asked, "site_policy", f"{about}: refused: {error}")
            raise
        self.note(asked, "site_policy", f"{about}: allowed")

    @contextmanager
    def doing(self, asked: Asked, action: str, about: str = "", *, often: bool = False) -> Iterator[None]:
        """Told before it is begun, and again when it is over: done, or why not. Raises ``NoSpace`` before.

        Of what is done ``often`` the end is told only where it was not a good one.
        """
        head = f"{about}: " if about else ""
        (self.often if often else self.tell)(asked, action, about if often else f"{head}begun")
        try:
            yield
        except asyncio.CancelledError:
            self.note(asked, action, f"{head}stopped")
            raise
        except RondoError as error:
            self.note(asked, action, f"{head}{'refused' if isinstance(error, SiteRefused) else 'failed'}: {error}")
            raise
        if not often:
            self.note(asked, action, f"{head}done")

    async def head(self) -> str:
        """Where the chain stands, for the server to keep: no more than what would survive a loss of power."""
        try:
            if self._waiting:
                self._write()
            if str(self._journal.head) != self._safe:
                head, sync = self._journal.mark()
                await asyncio.to_thread(sync)
                self._safe = str(head)
        except NoSpace as error:
            log.error("%s", error)
        return self._safe

    def close(self) -> None:
        if self._waiting:
            self._late()
        self._journal.close()


def prove_site(workspace: Path, kept: Head | None) -> tuple[Head, list[Fault]]:
    """What is wrong with the log of a site. ``kept``: a head that was told elsewhere, which has to be in it."""

    def seen(link: Link, _: Place) -> str:
        if kept is None or link.head.number != kept.number or link.head == kept:
            return ""
        return f"entry {kept.number} is not the one that was told to the server ({kept.hash[:16]}...)"

    head, faults = examine(workspace, seen)
    if kept is not None and head.number < kept.number:
        what = f"the log ends with entry {head.number}; entry {kept.number} was told to the server"
        faults.append(Fault("the end", "", what))
    return head, faults
