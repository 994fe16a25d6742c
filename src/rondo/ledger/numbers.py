"""What becomes of a run number that is deleted: its runs stay as history, what they needed goes."""

from __future__ import annotations

from sqlalchemy import select, update

from rondo.ledger import events, models, turns
from rondo.ledger.ledger import Tx
from rondo.ledger.tables import runs


def forget(tx: Tx, number: int, now: float) -> list[str]:
    """Forget run number ``number`` as a place: deployments to it go, no model of its runs is kept, nobody works in it.

    Its runs, with their rounds, contributions, metrics and events, stay under the number ``-number``: whoever uses the
    number again begins with nothing. Returns the digests of files that no run needs any more; none where it was never
    used. Raises ``Conflict`` while a run with this number is queued or under way.
    """
    turns.discard(tx, number)
    ids = tx.execute(select(runs.c.id).where(runs.c.number == number)).scalars().all()
    going = {digest for run in ids for digest in models.forget(tx, run, keep=set())}
    tx.execute(update(runs).where(runs.c.number == number).values(number=-number))
    if events.setting(tx, turns.NUMBER) == str(number):
        events.put_setting(tx, turns.NUMBER, "")
    events.record(tx, now, 0, "run_number_deleted", {"number": number, "runs": list(ids)})
    return sorted(going)
