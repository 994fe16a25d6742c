"""Which files of the server's workspace are still wanted, and by what; every other one is a leftover.

Whatever a kill, a full disk or a client that never came back leaves behind is found here by its place and its name.
Nothing but what Rondo itself put there is looked at: no run's folder, no log, nothing that a person laid down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rondo.base.errors import NotFound
from rondo.base.room import entries, size_of
from rondo.base.spare import SPARE
from rondo.blobs.seam import BlobStore
from rondo.ledger import rounds
from rondo.ledger.ledger import Tx
from rondo.ledger.models import OfferRow
from rondo.ledger.wanted import Wanted, wanted
from rondo.server.claims import task_of
from rondo.tensors.digest import digest_of
from rondo.wire import rondo_pb2 as pb

PATIENT = 7 * 86400.0  # seconds that a person may take to go on with the upload of a package

_MADE = re.compile(r"\.[a-z]+-(\d+)(?:\..+)?")  # on its way into a model or into the store, by the id of the run
_WRITING = re.compile(r"\..*\.(\d+)\.part")  # what a process writes, with its pid
_HALF = re.compile(r"\.(?:.*\.new|\..*\.new\.\w+\.part|.*\.\d+\.part)")  # unpacked or written, until it is whole
_MARK = re.compile(r"\.([^.].*)\.digest")  # beside an unpacked package
_SHOWN = (".FL_global_model.safetensors", ".best_FL_global_model.safetensors")


@dataclass(frozen=True)
class Use:
    """What a file serves: the number of the run (0: none in particular), and in what way."""

    run: int
    what: str


@dataclass(frozen=True)
class Found:
    """A file or folder: wanted for ``use``, or (None) a leftover; ``kind`` says of what, in the plural.

    ``digest`` where it lies in the blob store.
    """

    path: Path
    size: int
    kind: str
    use: Use | None
    digest: str = ""


Judge = Callable[[Wanted], Use | None]
Seen = tuple[Path, int, str, Judge]  # path, size, kind, and what it is wanted for by the ledger's word


def looked_at(tx: Tx, now: float) -> tuple[Wanted, list[OfferRow]]:
    """What the ledger wants of the files; and the offers that are not among it, as nobody will go on with them."""
    known = wanted(tx)
    going_on = tuple(row for row in known.offers if _goes_on(tx, row, now))
    return replace(known, offers=going_on), [row for row in known.offers if row not in going_on]


def _goes_on(tx: Tx, row: OfferRow, now: float) -> bool:
    """Whether the upload would be taken if its sender came back."""
    offer = pb.Offer.FromString(row.offer)
    if offer.HasField("package"):
        return now - row.at < PATIENT
    return not rounds.refusal(tx, offer.update.run, offer.update.round, task_of(offer.update), row.client)


def everything(folder: Path, store: BlobStore, known: Wanted) -> Iterator[Found]:
    """All files that Rondo itself put into the workspace, and will not need for ever."""
    yield from blobs(store, known)
    for place in (spool, staging, run_folders):
        yield from judged(place(folder), known)


def blobs(store: BlobStore, known: Wanted) -> Iterator[Found]:
    """Everything in the blob store."""
    models = {_name(digest): number for digest, number in known.models.items()}
    packages = {_name(digest) for digest in known.packages}
    for digest, size in store.held():
        use, name = None, _name(digest)
        if name in models:
            use = Use(models[name], "models")
        elif name in packages:
            use = Use(0, "packages")
        with suppress(NotFound):  # somebody deletes it meanwhile
            yield Found(store.local(digest), size, "models and packages that no run refers to", use, digest)


def spool(folder: Path) -> Iterator[Seen]:
    """Everything in the spool: what arrives, and models on their way into the store."""
    for entry in sorted((folder / "spool").rglob(SPARE)):
        yield entry, size_of(entry), "spare files", _spare
    for entry in entries(folder / "spool"):
        if entry.name == SPARE:
            continue
        if _MADE.fullmatch(entry.name):
            yield entry, size_of(entry), "models that were never committed", _made(entry.name)
        elif entry.is_dir():
            for file in (file for file in entries(entry) if file.name != SPARE):
                yield file, size_of(file), "updates and uploads of rounds that are over", _upload(entry.name, file.name)
        else:
            yield entry, size_of(entry), "files of workers that were killed", _written(entry.name)


def staging(folder: Path) -> Iterator[Seen]:
    """What an upload that was killed left in the staging area, and folders there that have no package."""
    for entry in entries(folder / "transfer"):
        mark = _MARK.fullmatch(entry.name)
        if mark and entry.is_file():
            for path in (entry, entry.with_name(mark.group(1))):
                yield path, size_of(path), "jobs that were never staged whole", _staged(mark.group(1))
        elif _HALF.fullmatch(entry.name):
            yield entry, size_of(entry), "jobs that were never staged whole", _written(entry.name)


def run_folders(folder: Path) -> Iterator[Seen]:
    """What was being written in the run folders by a process that was killed."""
    for deleted in folder.glob(".run_*.gone"):
        yield deleted, size_of(deleted), "run folders that were being deleted", lambda _: None
    for run in folder.glob("run_*"):
        for entry in entries(run):
            if _HALF.fullmatch(entry.name):
                yield entry, size_of(entry), "files that were never written whole", _written(entry.name)
        for name in _SHOWN:
            if (run / "mmar_server" / "models" / name).exists():
                path = run / "mmar_server" / "models" / name
                yield path, 0, "files that were never written whole", lambda _: None  # a second name of a file


def forgotten(store: BlobStore, digests: Iterable[str]) -> Iterator[Found]:
    """Those of these models that are in the blob store nevertheless."""
    for digest in digests:
        with suppress(NotFound):
            path = store.local(digest)
            yield Found(path, size_of(path), "models that are not kept", None, digest)


def judged(seen: Iterable[Seen], known: Wanted) -> Iterator[Found]:
    for path, size, kind, judge in seen:
        yield Found(path, size, kind, judge(known))


def _upload(client: str, name: str) -> Judge:
    whole, digest = not name.endswith(".part"), digest_of(name.removesuffix(".part"))

    def judge(known: Wanted) -> Use | None:
        if whole and (client, digest) in known.updates:
            return Use(known.updates[client, digest], "spooled updates")
        return Use(0, "uploads under way") if (client, digest) in known.uploads else None

    return judge


def _spare(known: Wanted) -> Use | None:
    """A file that is overwritten by the next one, while there are rounds."""
    return Use(0, "spare files") if known.under_way else None


def _made(name: str) -> Judge:
    found = _MADE.fullmatch(name)
    run = int(found.group(1)) if found else 0
    return lambda known: Use(known.under_way[run], "models being made") if run in known.under_way else None


def _written(name: str) -> Judge:
    """A file with a pid in its name is wanted while that process lives."""
    found = _WRITING.fullmatch(name)
    alive = found is not None and Path(f"/proc/{found.group(1)}").exists()
    return lambda _: Use(0, "files being written") if alive else None


def _staged(name: str) -> Judge:
    return lambda known: Use(0, "packages") if name in known.staged else None


def _name(digest: str) -> str:
    """A digest as it names a file, whatever algorithm it is of."""
    return digest.rpartition(":")[2]
