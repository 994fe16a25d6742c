"""The moment at which what a client has sent counts: its row, and the event that tells of it."""

from __future__ import annotations

from dataclasses import replace

from rondo.ledger import events, models, rounds
from rondo.ledger.ledger import Tx
from rondo.ledger.rounds import Contribution

_TOLD = {"collect": "local_model_accepted", "cross": "validation_accepted"}  # of a round that trains or measures: below


def count(tx: Tx, contribution: Contribution, upload: str = "") -> str:
    """Count it, and drop the offer ``upload`` that it was sent for. Returns "" or why it does not count."""
    c = contribution
    reason = rounds.accept(tx, c)
    if upload:  # it was sent for an offer that is written down
        models.drop_offer(tx, upload)
    if not reason:
        about = {
            "client": c.client, "round": c.round, "task": c.task, "samples": c.samples, "metrics": dict(c.metrics),
            "size": c.size, "seconds": c.seconds, "local_metrics": dict(c.local_metrics), "digest": c.digest,
        }  # fmt: skip
        events.record(tx, c.at, c.run, _TOLD.get(c.task, "update_accepted"), about)
    return reason


def count_measured(tx: Tx, contribution: Contribution) -> str:
    """The same for metrics alone, which answer whatever the current round asks for."""
    this = rounds.current(tx, contribution.run)
    task = this.task if this is not None and this.task in ("validate", "cross") else "validate"
    return count(tx, replace(contribution, task=task))
