"""What a client is handed: a task with the names of its files, and the files it may fetch."""

from __future__ import annotations

from rondo.ledger import models, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.wire import rondo_pb2 as pb


def work_of(tx: Tx, run: runs.Run, this: rounds.RoundRow, client: str) -> pb.Work | None:
    """The task of this round for ``client``; None where its model is not there yet."""
    model = models.get(tx, this.run, this.version)
    if model is None:
        return None
    work = pb.Work(run=run.id, round=this.round, rounds=run.num_rounds, task=this.task, seed=run.seed)
    work.model.CopyFrom(pb.FileRef(digest=model.sent, size=model.sent_size))
    if "up" in model.codecs:  # it goes on from what was lost of the update that counted last
        counted = rounds.last_counted(tx, run.id, client)
        if counted is not None:
            work.counted = counted
    return work


def may_pull(tx: Tx, client: str, digest: str) -> bool:
    """A client may fetch the packages it was given and the models of the run it takes part in, as they are sent."""
    engaged = runs.engagement(tx, client)
    return (engaged is not None and models.is_kept(tx, engaged[0].id, digest)) or runs.given(tx, client, digest)
