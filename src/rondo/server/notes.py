"""What clients may write into the ledger by their word alone: how far they are, and what of theirs was refused.

Whoever is logged in may say as much as he likes; what is kept of it is bounded. Notes of progress take the place of
older ones of their phase, of which the first and the last stay. Refusals are history and stay, so they are rationed;
those beyond it are answered all the same, only not written down.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from rondo.base.chain import entry
from rondo.base.clock import Clock
from rondo.ledger import audit, events, runs
from rondo.ledger.ledger import Tx
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb

log = logging.getLogger("rondo.server")

OFTEN = 0.2  # seconds between two notes of one phase of a client
MOST = 32  # notes of progress that are kept of a client
PROGRESS = (20, OFTEN)  # a client's notes at once, and seconds until one more may follow
WORDS = (50, 10.0)  # the same, for what stays for ever

Phase = tuple[int, int, str]  # run, round, name


class Ration:
    """So many at once, and one more every ``pause`` seconds, for each of those who ask."""

    def __init__(self, clock: Clock, burst: int, pause: float) -> None:
        self._clock = clock
        self._burst = burst
        self._pause = pause
        self._spent: dict[str, tuple[float, float]] = {}  # by client: how much, and when that was so

    def take(self, client: str) -> bool:
        """Whether ``client`` has one left, which is gone then."""
        now = self._clock.ticks()
        spent, at = self._spent.get(client, (0.0, now))
        spent = max(0.0, spent - (now - at) / self._pause)
        fits = spent + 1 <= self._burst
        self._spent[client] = (spent + fits, now)
        return fits


@dataclass
class _Told:
    """What is kept of a client: the numbers of its rows, oldest first; of the phase it is in, when it spoke last."""

    rows: deque[int] = field(default_factory=deque)
    phase: Phase = (0, 0, "")
    at: float = 0.0
    in_phase: int = 0

    def go(self, again: bool) -> list[int]:
        """Rows for which the next note leaves no room."""
        gone = [self.rows.pop()] if again and self.in_phase > 1 and self.rows else []  # the first of its phase stays
        while len(self.rows) >= MOST:
            gone.append(self.rows.popleft())
        return gone


class Notes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[str, _Told] = {}
        self._progress = Ration(store.clock, *PROGRESS)
        self._words = Ration(store.clock, *WORDS)

    def may_speak(self, client: str) -> bool:
        """Whether one more word of ``client`` is written down that stays for ever."""
        if self._words.take(client):
            return True
        log.info("%s says too much: not all of it is written down", client)
        return False

    async def refused(self, client: str, run: int, round_number: int, reason: str) -> None:
        def write(tx: Tx) -> None:
            data, now = {"client": client, "round": round_number, "reason": reason}, self._store.clock.now()
            if runs.get(tx, run):
                events.record(tx, now, run, "update_refused", data)
            else:  # of no run: a package, or what a stranger to all runs sends
                audit.tell(tx, entry(now, client, "file_refused", reason))

        if self.may_speak(client):
            await self._store.do(write)

    async def progress(self, client: str, request: pb.Report) -> bool:
        """Whether the note was written down: not one that comes too soon, unless it ends its phase."""
        said, told, now = request.progress, self._told.setdefault(client, _Told()), self._store.clock.ticks()
        phase = (request.run, request.round, said.phase[:40])
        again = phase == told.phase
        if again and said.fraction < 1 and now - told.at < OFTEN:
            return False
        if not self._progress.take(client):
            return False
        gone = told.go(again)
        told.phase, told.at, told.in_phase = phase, now, told.in_phase if again else 0
        number = await self._store.do(_write, client, request, self._store.clock.now(), gone)
        if number:
            told.rows.append(number)
            told.in_phase += 1
        return number > 0


def _write(tx: Tx, client: str, request: pb.Report, now: float, gone: list[int]) -> int:
    """The number of the note; 0 where ``client`` does not take part."""
    part, said = runs.participant(tx, request.run, client), request.progress
    if part is None or part.state == "stopped":
        return 0
    data = {"client": client, "round": request.round, "phase": said.phase[:40], "fraction": said.fraction}
    return events.replace(tx, now, request.run, "progress", {**data, "detail": said.detail[:200]}, gone)
