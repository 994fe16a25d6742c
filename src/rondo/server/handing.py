"""What a client is handed: a task with the names of its files, and the files it may fetch."""

from __future__ import annotations

from rondo.base.chain import entry
from rondo.ledger import audit, crossing, models, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.wire import rondo_pb2 as pb


def work_of(tx: Tx, run: runs.Run, this: rounds.RoundRow, client: str) -> pb.Work | None:
    """The task of this round for ``client``; None where its model is not there yet."""
    work = pb.Work(run=run.id, round=this.round, rounds=run.num_rounds, task=this.task, seed=run.seed)
    if this.task == "cross":
        for tested in crossing.of_round(tx, run.id, this.round):
            work.model.CopyFrom(pb.FileRef(digest=tested.sent, size=tested.sent_size))
        return work if work.model.digest else None
    sent = models.sent(tx, this.run, this.version)
    if sent is None:
        return None
    digest, size, codecs = sent
    work.model.CopyFrom(pb.FileRef(digest=digest, size=size))
    if "up" in codecs:  # it goes on from what was lost of the update that counted last
        counted = rounds.last_counted(tx, run.id, client)
        if counted is not None:
            work.counted = counted
    return work


def engage_of(run: runs.Run, part: runs.Participant) -> pb.Engage:
    """Take part in this run; for whom: the admin who started this client, or else the run."""
    package = pb.FileRef(digest=part.package, size=part.package_size)
    asked = part.reason or {"by": run.by, "event": run.event}
    return pb.Engage(
        run=run.id, number=run.number, job=run.name, seed=run.seed, package=package,
        voucher=part.voucher, gpus=part.gpus, by=asked.get("by", ""), event=asked.get("event", ""),
    )  # fmt: skip


def recall_of(tx: Tx, run: int, client: str) -> pb.Recall:
    """Stop what is done for this run: it is over, or an admin stopped this client."""
    row, part = runs.get(tx, run), runs.participant(tx, run, client)
    over = row is not None and row.state not in runs.OPEN
    why = f"run {run} is {row.state}" if row and over else "the admin stopped this client"
    if not over and part is not None and part.state == "validating":
        why = "the admin stopped the training of this client: cross-site validation follows"
    asked = (row.error if row and over else part.reason if part else None) or {}
    finished = row is not None and row.state == "finished"
    return pb.Recall(
        run=run, reason=why, by=asked.get("by", ""), event=asked.get("event", ""), finished=finished
    )  # fmt: skip


def leave_of(row: Session | None, restart: bool) -> pb.Leave:
    by, event = (row.leave_by, row.leave_event) if row else ("", "")
    return pb.Leave(reason="the admin asked for it", restart=restart, by=by, event=event)


def _of_run(tx: Tx, run: runs.Run, part: runs.Participant, digest: str) -> bool:
    return models.is_kept(tx, run.id, digest) or (part.cross and crossing.under_test(tx, run.id, digest))


def may_pull(tx: Tx, session: Session, request: pb.PullRequest, now: float) -> tuple[bool, bool]:
    """A client may fetch the packages it was given and the models of the run it takes part in, as they are sent.

    What an admin fetches is told in the audit log, and what of code a client does: once, where it begins. Returns
    whether it may, and whether that was told.
    """
    client, digest = session.instance, request.file.digest
    if session.role == "client":
        engaged = runs.engagement(tx, client)
        if engaged is not None and _of_run(tx, *engaged, digest):
            return True, False  # the round's contribution tells of it
        if not runs.given(tx, client, digest):
            return False, False
    if request.offset == 0:
        action = "package_fetched" if session.role == "client" else "file_fetched"
        audit.tell(tx, entry(now, client, action, " ".join(filter(None, (request.file.place[:200], digest)))))
    return True, request.offset == 0
