"""What becomes of a round's updates: they go when it is committed, but for those that the job keeps (``keep_updates``).

Kept ones lie in the run's folder under the names of their round and site, ``updates/round_3/site-1.safetensors``. In
the spool they would be anybody's: it holds what rounds under way wait for, and is swept by that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rondo.base.disk import disk_errors
from rondo.base.spare import give_up
from rondo.ledger.rounds import Contribution
from rondo.ledger.runs import Run
from rondo.server.store import Store


def keep_updates(store: Store, run: Run, round_number: int, updates: Sequence[Contribution], rounds: int) -> None:
    """Just before a round is committed: its updates get a second name in the run's folder (no second copy), and what
    is not of the last ``rounds`` rounds goes. Killed in between, it is done again, as the round is."""
    folder = store.run_folder(run.number) / "updates"
    with disk_errors(folder, "keep the updates of the round"):
        if rounds:
            kept = _folder(folder, round_number)
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            for update in updates:
                os.link(store.upload(update.client, update.digest), kept / f"{update.client}.safetensors")
        last = {_folder(folder, number) for number in range(round_number - rounds + 1, round_number + 1)}
        for old in folder.glob("round_*"):  # also those of an earlier run with this number
            if old not in last:
                shutil.rmtree(old)


def drop_updates(store: Store, updates: Sequence[Contribution]) -> None:
    """Just after: the spool has no more use for them. (One that is kept has a second name, and so is never a spare.)"""
    for update in updates:
        give_up(store.upload(update.client, update.digest))


def _folder(folder: Path, round_number: int) -> Path:
    return folder / f"round_{round_number}"
