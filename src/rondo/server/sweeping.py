"""Sweeps the server's workspace: everything at the start, what a run leaves at its end. What goes is told in the log.

What is referred to is a question to the ledger (``rondo.ledger.wanted``); which file is what, ``leftovers`` knows.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rondo.base.disk import write_atomic
from rondo.base.errors import RondoError
from rondo.base.ids import new_id
from rondo.base.room import entries, in_words
from rondo.base.spare import drop_spares
from rondo.blobs.seam import BlobStore
from rondo.ledger import events, models
from rondo.ledger import wanted as rows
from rondo.ledger.ledger import Tx
from rondo.ledger.wanted import Wanted
from rondo.net.part import is_being_received
from rondo.server import leftovers
from rondo.server.leftovers import Found
from rondo.server.store import Store

log = logging.getLogger("rondo.sweeping")

DAY = 86400.0  # seconds
ASKS_KEPT, ADMINS_KEPT, CLIENTS_KEPT = DAY, DAY, 30 * DAY  # after their end; a client comes back as itself so long
LEDGER_ID = "ledger.id"  # in the workspace: whose files these are

MOST_NAMES = 5  # of files in a line of the log


async def sweep(store: Store) -> None:
    """Everything that nothing refers to, before anybody is served. A file that cannot be removed stays, and is told."""
    if await _is_ours(store):
        known = await store.read(_rows_swept, store)
        _tell("the server starts", store.folder, await asyncio.to_thread(_sweep, store, known))


async def sweep_after(store: Store, run: int) -> None:
    """What the run with this id leaves at its end: spooled files, forgotten models, notes that interest nobody."""
    try:
        if await _is_ours(store):
            # First the files, then who is sending, then the rows: what is settled in between is seen as one of them.
            seen = await asyncio.to_thread(lambda: list(leftovers.spool(store.folder)))
            sent = store.room.arriving()
            known, forgotten = await store.read(_rows_swept_after, store, run)
            found = [one for one in leftovers.judged(seen, known) if one.path not in sent]
            found += leftovers.forgotten(store.blobs, forgotten)
            _tell(f"run {run} is over", store.folder, await asyncio.to_thread(_remove_all, found, store.blobs))
        await asyncio.to_thread(drop_spares, store.spool)  # last: what is removed becomes one
    except RondoError as error:  # the run has ended nevertheless, and the next start sweeps again
        log.warning("run %d is over; not everything could be swept: %s", run, error)


def _rows_swept(tx: Tx, store: Store) -> Wanted:
    """Drop the rows that are no history and that nobody will ask for; returns what is wanted by the others."""
    now = store.clock.now()
    rows.drop_asks(tx, now - ASKS_KEPT)
    rows.drop_sessions(tx, "admin", now - ADMINS_KEPT)
    rows.drop_sessions(tx, "client", now - CLIENTS_KEPT)
    known, given_up = leftovers.looked_at(tx, now)
    for offer in given_up:
        models.drop_offer(tx, offer.upload)
    return known


def _rows_swept_after(tx: Tx, store: Store, run: int) -> tuple[Wanted, list[str]]:
    events.forget_progress(tx, run)
    return _rows_swept(tx, store), rows.forgotten(tx, run)


async def _is_ours(store: Store) -> bool:
    """Whether this ledger wrote these files. By the word of another one everything here would be a leftover.

    A workspace is bound to its ledger when a server first starts in it.
    """

    def name(tx: Tx) -> str:
        known = events.setting(tx, "ledger_id")
        if known is None:
            known = new_id()
            events.put_setting(tx, "ledger_id", known)
        return known

    mine, path = await store.read(name), store.folder / LEDGER_ID
    with suppress(FileNotFoundError):
        if path.read_text() == mine:
            return True
        log.warning("nothing is swept: %s is of another ledger; remove it to bind the workspace to this one", path)
        return False
    write_atomic(path, mine.encode())
    return next(iter(store.blobs.held()), None) is None


def _sweep(store: Store, known: Wanted) -> list[Found]:
    gone = _remove_all(list(leftovers.everything(store.folder, store.blobs, known)), store.blobs)
    drop_spares(store.spool)  # also what has just become one
    for folder in entries(store.spool):
        with suppress(OSError):  # not empty, or no folder
            folder.rmdir()
    return gone


def _remove_all(found: Iterable[Found], blobs: BlobStore) -> list[Found]:
    """Remove what is wanted by nothing; returns what is gone."""
    gone = []
    for one in found:
        if one.use is None and not is_being_received(one.path):
            try:
                _remove(one, blobs)
                gone.append(one)
            except (OSError, RondoError) as error:
                log.warning("%s stays where it is: %s", one.path, error)
    return gone


def _remove(one: Found, blobs: BlobStore) -> None:
    if one.digest:
        blobs.delete(one.digest)
    elif one.path.is_dir() and not one.path.is_symlink():
        shutil.rmtree(one.path)
    else:
        one.path.unlink(missing_ok=True)


def _tell(when: str, folder: Path, gone: Iterable[Found]) -> None:
    """A line for every kind of leftover, with a few of their names."""
    kinds: dict[str, list[Found]] = {}
    for one in gone:
        kinds.setdefault(one.kind, []).append(one)
    for kind, those in sorted(kinds.items()):
        names = ", ".join(str(one.path.relative_to(folder)) for one in those[:MOST_NAMES])
        more = ", ..." if len(those) > MOST_NAMES else ""
        size = in_words(sum(one.size for one in those))
        log.info("%s; swept %d %s, %s: %s%s", when, len(those), kind, size, names, more)
