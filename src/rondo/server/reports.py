"""What clients report besides updates: prepared or not, how far they are, what failed, answers to questions."""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.base.errors import BadInput
from rondo.commands import rows as row_kinds
from rondo.ledger import asks, events, rounds, runs, sessions
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.rounds import orders
from rondo.rounds.events import ClientLeft, TaskFailed, UpdateArrived
from rondo.server.claims import check_metrics, check_samples
from rondo.server.counting import count_measured
from rondo.server.intake import Intake
from rondo.server.runs import Runs
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb

MOST_SAID = 2 * 2**20  # bytes of an answer


class Reports:
    def __init__(self, store: Store, intake: Intake, live: Runs) -> None:
        self._store = store
        self._intake = intake
        self._runs = live
        self._notes = intake.notes

    async def take(self, session: Session, request: pb.Report) -> pb.ReportReply:
        match request.WhichOneof("what"):
            case "prepared" | "prepare_failed" | "stopped":
                return await self._participation(session, request)
            case "task_failed":
                return await self._failed(session, request)
            case "progress":
                return pb.ReportReply(counted=await self._notes.progress(session.instance, request))
            case "measured":
                return await self._measured(session, request)
            case "begun":
                counted = await self._store.do(_begins, session, request.begun.ask)
                return pb.ReportReply(counted=counted, reason="" if counted else "nobody waits for it any more")
            case "answer":
                said = _said(request.answer)
                counted = await self._store.do(asks.answer, request.answer.id, session.instance, said)
                self._store.bell.ring(f"answers:{session.instance}")
                return pb.ReportReply(counted=counted)
        return pb.ReportReply(counted=False, reason="an empty report")

    async def _participation(self, session: Session, request: pb.Report) -> pb.ReportReply:
        client, failure = session.instance, _failure(session, request.prepare_failed)
        state = {"prepared": "prepared", "prepare_failed": "failed"}.get(request.WhichOneof("what") or "", "")
        told, asked = self._notes.may_speak(client), False

        def write(tx: Tx) -> bool:
            nonlocal asked
            now = self._store.clock.now()
            reason = failure if state == "failed" else None
            if state == "prepared":
                cross = (request.prepared.cross, request.prepared.no_cross[:400])
                changed = runs.note_prepared(tx, (request.run, client), now, cross)
                asked = rounds.is_asked(tx, request.run, client)
            elif state:
                changed = runs.set_participant(tx, (request.run, client), state, now, reason)
            else:
                changed = runs.participant(tx, request.run, client) is not None
            if changed and told:
                detail: dict[str, Any] = reason or {"reason": request.stopped.reason[:200]}
                events.record(tx, now, request.run, f"client_{state or 'stopped'}", {"client": client, **detail})
            return changed

        counted = await self._store.do(write)
        if asked and counted:
            self._runs.prepared(request.run, client)
        elif counted and state == "failed":
            self._runs.tell(request.run, TaskFailed(client, failure), ClientLeft(client))
        self._store.bell.ring(f"client:{client}", f"answers:{client}")
        return pb.ReportReply(counted=counted)

    async def _measured(self, session: Session, request: pb.Report) -> pb.ReportReply:
        """The answer to a task that validates: metrics alone, the same gate as for files."""
        said = request.measured
        check_samples(said.samples, f"answer of {session.instance}")
        check_metrics(said.metrics, f"answer of {session.instance}")
        contribution = rounds.Contribution(
            run=request.run, round=request.round, task="validate", client=session.instance, digest="", size=0, kind="",
            samples=said.samples, steps=0.0, metrics=dict(said.metrics), local_metrics={},
            omitted=[], seconds=0.0, at=self._store.clock.now(),
        )  # fmt: skip
        reason = await self._store.do(count_measured, contribution)
        if reason:
            await self._notes.refused(session.instance, request.run, request.round, reason)
        else:
            self._runs.tell(request.run, UpdateArrived(session.instance))
        return pb.ReportReply(counted=not reason, reason=reason)

    async def _failed(self, session: Session, request: pb.Report) -> pb.ReportReply:
        failure = _failure(session, request.task_failed)

        def write(tx: Tx) -> bool:
            this, now = rounds.current(tx, request.run), self._store.clock.now()
            if this is None or rounds.refusal(tx, request.run, request.round, this.task, session.instance):
                return False
            if not rounds.decline(tx, (this.run, this.round, this.task), session.instance, failure, now):
                return False  # it is known already
            events.record(tx, now, request.run, "task_failed", {"client": session.instance, **failure})
            return True

        counted = await self._store.do(write)
        if counted:
            self._runs.tell(request.run, TaskFailed(session.instance, failure))
        return pb.ReportReply(counted=counted)


def _begins(tx: Tx, session: Session, ask: str) -> bool:
    """Does an admin still wait for the client to do this? ``ask`` "": to leave."""
    if ask:
        return asks.begin(tx, ask, session.instance)
    row = sessions.by_token(tx, session.token)
    return row is None or row.leave != ""  # without a row there is no session to go on with


def _failure(session: Session, said: pb.Failure) -> dict[str, Any]:
    """What a client says of a failure, bounded before it is kept."""
    detail = {
        "traceback": said.traceback[-20_000:],
        "file": said.file[-400:],
        "line": said.line,
        "last_lines": said.last_lines[-8_000:],
    }
    return orders.failure(said.error[:2_000], site=session.instance, round_number=said.round, detail=detail)


def _said(answer: pb.Answer) -> dict[str, Any]:
    """What a site answers to a command. Raises ``BadInput`` for what is no answer, or too long for one."""
    if answer.ByteSize() > MOST_SAID:
        raise BadInput(f"an answer of {answer.ByteSize()} bytes; at most {MOST_SAID} are taken")
    try:
        for row in answer.rows:
            row_kinds.decode(row)
    except msgspec.MsgspecError as error:
        raise BadInput(f"an answer that cannot be read: {error}") from None
    return {"rows": [row.decode() for row in answer.rows], "error": answer.error, "code": answer.code}
