"""Where packages wait until a run is made of them: each is checked, or nothing of it is stored."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

from rondo.base.chain import entry
from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput, Refused
from rondo.jobs.check import check_choices, check_files
from rondo.jobs.facts import PackageFacts, package_facts
from rondo.jobs.findings import Findings
from rondo.jobs.job import Job, read_job
from rondo.jobs.mmar import TRAINER
from rondo.jobs.package import STANDARD
from rondo.jobs.unpacked import take_place, unpack_beside
from rondo.ledger import audit, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.pki.trust import Trust
from rondo.pki.vouchers import check_voucher
from rondo.policy.actions import Action
from rondo.server.audit import see_allowed
from rondo.server.rights import Rights
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb
from rondo.worker.looking import look_closely

LOOKS = 2  # packages looked at at once: each holds one of the few threads that files move in, and maybe a worker


class Staging:
    """The folder ``transfer``, where people look for what they have uploaded."""

    def __init__(self, store: Store, rights: Rights, trust: Trust) -> None:
        self._store = store
        self._rights = rights
        self._trust = trust
        self._looks = asyncio.Semaphore(LOOKS)

    async def check(self, session: Session, offer: pb.Offer) -> None:
        """Refuse before a byte has moved what cannot be staged in any case, such as what its sender has not signed."""
        plain = PackageFacts(byoc=False, custom_datalist=False)
        await see_allowed(self._store, self._rights, session, Action.UPLOAD, plain)
        if offer.file.size > STANDARD.total:
            raise BadInput(f"{offer.file.size} bytes; {STANDARD.total} is the limit", where=offer.package.name)
        _check_folder_name(offer.package.name)
        signer = check_voucher(offer.package.voucher, offer.file.digest, self._trust, self._store.clock.now())
        if signer.name != session.name:
            what = f"{signer.name!r} has signed the package, {session.name!r} sends it"
            raise Refused(what, where=f"package {offer.package.name}")

    async def stage(self, session: Session, offer: pb.Offer, part: Path) -> None:
        """Unpack the package that has arrived as ``part``. Raises ``BadInput`` or ``Refused`` for what may not stay.

        It goes on to its end, also where nobody waits for it any more. While it is looked at only other packages
        wait.
        """
        keep = self._keep_file if offer.package.plain else self._keep_job
        try:
            await asyncio.shield(keep(session, offer, part, self._store.folder / "transfer" / offer.package.name))
        except BadInput as error:  # where the file is spooled says nothing to its sender
            hidden = error.where.startswith(str(self._store.folder))
            where = f"package {offer.package.name}" if hidden else error.where
            raise BadInput(error.what, where=where, hint=error.hint) from None

    async def _keep_file(self, session: Session, offer: pb.Offer, part: Path, staged: Path) -> None:
        """A file that is no job."""

        async def keep() -> None:
            await asyncio.to_thread(_move, part, staged)
            about = f"{staged.name}: {offer.file.size} bytes {offer.file.digest}"
            told = entry(self._store.clock.now(), session.instance, "file_uploaded", about)
            await self._store.do(audit.tell, told)

        await self._store.in_folders(keep)

    async def _keep_job(self, session: Session, offer: pb.Offer, part: Path, staged: Path) -> None:
        async with self._looks:
            fresh = await asyncio.to_thread(self._unpack, session.name, offer.file.digest, part, staged)

        async def keep() -> None:
            await asyncio.to_thread(_take_place, fresh, offer.file.digest, staged)
            await asyncio.to_thread(self._store.blobs.adopt, part, offer.file.digest)
            now, voucher = self._store.clock.now(), offer.package.voucher
            about = (offer.file.digest, offer.file.size, session.instance, now, voucher)
            await self._store.do(_stage, runs.Package(staged.name, *about))

        await self._store.in_folders(keep)

    def _unpack(self, user: str, digest: str, part: Path, staged: Path) -> Path:
        """Whoever lost the link sends it again: the first one may have been kept since, then it is no ``part``."""
        archive = part if part.exists() else self._store.blobs.local(digest)
        return unpack_beside(archive, staged, partial(self._look, user))

    def _look(self, user: str, folder: Path) -> None:
        """Raises ``BadInput`` or ``Refused`` where what is in ``folder`` may not be staged by ``user``."""
        job = read_job(folder)
        check_choices(job)
        check_files(job, folder)
        self._rights.check(user, Action.UPLOAD, facts=package_facts(folder))
        if job.client.trainer.name == TRAINER:
            _look_closely(job, folder)


def _take_place(fresh: Path, digest: str, staged: Path) -> None:
    """All of it in one thread: a server that stops cancels who waits, and what is moved must not be removed beside."""
    try:
        take_place(fresh, digest, staged)
    finally:
        shutil.rmtree(fresh.parent, ignore_errors=True)


def _move(part: Path, staged: Path) -> None:
    if staged.is_file() and not part.exists():  # sent again, its sender having lost the link while this was kept
        return
    if staged.is_dir():
        raise BadInput(f"there is a folder {staged.name} already", hint="give the file another name")
    with disk_errors(staged, "keep the file"):
        staged.parent.mkdir(exist_ok=True)
        part.replace(staged)


def _stage(tx: Tx, package: runs.Package) -> None:
    runs.stage(tx, package)
    about = f"{package.name}: {package.size} bytes {package.digest}"
    audit.tell(tx, entry(package.at, package.by, "package_uploaded", about))


def _look_closely(job: Job, folder: Path) -> None:
    """Raises ``BadInput`` for what only the trainer can see, in a worker; this is in a thread that may wait for it."""
    found = Findings()
    found.add(asyncio.run(look_closely(job.client.trainer.name, folder, {})))
    found.raise_first()


def _check_folder_name(name: str) -> None:
    if not name or len(name) > 128 or name.startswith(".") or not all(c.isalnum() or c in "._-+ " for c in name):
        raise BadInput(f"{name!r} cannot be a folder's name", hint="letters, digits, . _ - +")
