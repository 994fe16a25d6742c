"""Before the first round: every invited client fetches the package and starts its code (a dry run on every site).

The machine that decides rounds decides this too: prepared clients are the answers, nothing is folded.
"""

from __future__ import annotations

from rondo.jobs.job import Job
from rondo.ledger import runs as rows
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Run
from rondo.rounds import events as e
from rondo.rounds.round import Plan, Round, Waiting
from rondo.server.store import Store


class Dispatch:
    """The stage on which the gate before round one is played."""

    def __init__(self, store: Store, run: Run, job: Job) -> None:
        self._store = store
        self._run = run
        self._job = job

    async def open(self) -> tuple[Round, list[e.Event]]:
        parts = await self._store.do(self._invite)
        await self._store.wake_participants(self._run.id)
        news: list[e.Event] = [e.ClientJoined(part.client) for part in parts]
        news += [e.UpdateArrived(part.client) for part in parts if part.state == "prepared"]
        news += [e.TaskFailed(part.client, part.reason or {}) for part in parts if part.state == "failed"]
        return Round(Plan(self._job.server.min_clients, self._job.server.wait_after_min_clients)), news

    def _invite(self, tx: Tx) -> list[rows.Participant]:
        now = self._store.clock.now()
        present = {part.client for part in rows.taking_part(tx, self._run.id)}
        for session in session_rows.present(tx):
            if session.instance not in present:
                rows.invite(tx, self._run.id, session.instance, self._run, now)
        return rows.taking_part(tx, self._run.id)

    async def enough(self) -> None:
        """The grace wait starts anew after a restart: it is short, and nothing is lost by it."""

    async def waits(self, waiting: Waiting) -> None:
        data = {"for": list(waiting.clients), "why": waiting.why, "then": "opens the first round"}
        await self._store.record(self._run.id, "waiting", data)

    async def fold(self) -> e.Event:
        return e.Folded()

    async def commit(self) -> None:
        """Nothing to commit: the participants' rows say who is prepared."""

    async def failed(self) -> None:
        """The run's own row says so."""
