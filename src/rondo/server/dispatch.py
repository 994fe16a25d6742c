"""Before the first round: every invited client fetches the package and starts its code (a dry run on every site).

The machine that decides rounds decides this too: prepared clients are the answers, nothing is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rondo.base.errors import Conflict, YourFault
from rondo.jobs.facts import package_facts
from rondo.jobs.job import Job, read_job
from rondo.ledger import events as event_rows
from rondo.ledger import rounds as round_rows
from rondo.ledger import runs as rows
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Run
from rondo.ledger.sessions import Session
from rondo.policy.actions import Action
from rondo.rounds import events as e
from rondo.rounds.orders import TAKING_PART
from rondo.rounds.round import Plan, Round, Waiting
from rondo.server.rights import Rights
from rondo.server.store import Store

Welcome = Callable[[Session], str]  # why a client is not to take part; "" where it is welcome


class Dispatch:
    """The stage on which the gate before round one is played."""

    def __init__(self, store: Store, run: Run, job: Job, welcome: Welcome) -> None:
        self._store = store
        self._run = run
        self._job = job
        self._welcome = welcome

    async def open(self) -> tuple[Round, list[e.Event]]:
        parts, here = await self._store.do(self._invite)
        await self._store.wake_participants(self._run.id)
        able = [part.client for part in parts if part.state in TAKING_PART and part.client in here]
        news: list[e.Event] = [e.ClientJoined(client) for client in able]
        news += [e.UpdateArrived(part.client) for part in parts if part.state == "prepared"]
        news += [e.TaskFailed(part.client, part.reason or {}) for part in parts if part.state == "failed"]
        return Round(Plan(self._job.server.min_clients, self._job.server.wait_after_min_clients)), news

    def _invite(self, tx: Tx) -> tuple[list[rows.Participant], set[str]]:
        """Who takes part, and who is here."""
        now, here = self._store.clock.now(), session_rows.present(tx)
        for session in here:
            why = self._welcome(session)
            if not join(tx, self._run.id, session.instance, now, not why):
                data = {"client": session.instance, "reason": why or "the run is full"}
                event_rows.record(tx, now, self._run.id, "client_not_invited", data)
        return rows.taking_part(tx, self._run.id), {session.instance for session in here}

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


def welcoming(rights: Rights, run: Run, code: Path) -> Welcome:
    """Whether whoever submitted ``run`` may deploy its package (unpacked in ``code``) to, and train it at, the site
    of a client, which knows the run's codecs. Where everybody is invited, this decides who everybody is."""

    try:
        facts, job = package_facts(code), read_job(code)
    except YourFault as error:
        unreadable = error.what
        return lambda _: unreadable

    def welcome(session: Session) -> str:
        try:
            rights.check(run.by, Action.DEPLOY, [session.name], facts)
            rights.check(run.by, Action.TRAIN, [session.name])
        except YourFault as error:
            return error.what
        return unable(job, session)

    return welcome


def unable(job: Job, session: Session) -> str:
    """Why this client cannot take part in the job; "" where it can."""
    sites = job.evaluation.sites if job.evaluation else ()
    if sites and session.instance not in sites:
        return f"it is to be validated at {', '.join(sites)}"
    wanted = {choice.name for choice in job.transfer.chosen.values() if choice}
    unknown = sorted(name for name in wanted if f"codec:{name}" not in session.capabilities)
    if not unknown:
        return ""
    return f"its Rondo {session.version} does not know the codec {' and '.join(unknown)}: upgrade the client"


def see_able(tx: Tx, code: Path, client: str) -> None:
    """Raises ``Conflict`` for a client who cannot take part in the job unpacked in ``code``. Where it is not there yet
    the client says so itself, before it is prepared."""
    for session in session_rows.present(tx):
        why = unable(read_job(code), session) if session.instance == client and code.is_dir() else ""
        if why:
            raise Conflict(f"{client} cannot take part: {why}")


def open_to(tx: Tx, client: str) -> Run | None:
    """The run under way that ``client`` takes part in, or may join."""
    for run in rows.open_runs(tx):
        part = rows.participant(tx, run.id, client)
        if part is not None and part.state in TAKING_PART:
            return run
        if part is None and run.invites == "all" and run.state in ("dispatching", "running"):
            return run
    return None


def join(tx: Tx, run: int, client: str, now: float, welcome: bool) -> bool:
    """Whether the round under way is for ``client``: it takes part already, or it is ``welcome``, finds room, and is
    invited hereby."""
    part, row = rows.participant(tx, run, client), rows.get(tx, run)
    if part is None and welcome and row is not None and not rows.is_full(tx, row):
        rows.invite(tx, run, client, row, now)
        return True
    return round_rows.is_asked(tx, run, client)
