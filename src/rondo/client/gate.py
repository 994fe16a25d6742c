"""The site's own door. A job comes in only with an admin's signature, and only where the site's policy lets it.

The server is not believed: the certificate beside the signature is held against this kit's authority, its role, its
dates and the revocations that the site knows, the signature against the digest that the package is then fetched by.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, Refused, SiteRefused
from rondo.base.room import in_words
from rondo.client.audit import NOBODY, Asked
from rondo.client.limits import refused, see_watchable
from rondo.client.place import Place
from rondo.client.policy import SHELL, SitePolicy, read_policy
from rondo.jobs.facts import package_facts
from rondo.jobs.job import read_job
from rondo.jobs.resources import ResourcesPart
from rondo.net.kits import revocations
from rondo.pki.trust import Trust
from rondo.pki.vouchers import check_voucher
from rondo.policy.site import FILE
from rondo.wire import rondo_pb2 as pb
from rondo.worker.sandbox import see_it_works

T = TypeVar("T")

log = logging.getLogger("rondo.client")


@dataclass(frozen=True)
class Parcel:
    """A job's package as the server offers it; ``voucher``: see ``rondo.pki.vouchers``; ``asked``: for whom."""

    file: pb.FileRef
    voucher: str
    asked: Asked = NOBODY


@dataclass(frozen=True)
class Admitted:
    """A parcel that may be fetched, under ``policy``. ``signer``: the admin who signed it."""

    policy: SitePolicy
    signer: str
    parcel: Parcel

    def see_content(self, folder: Path) -> None:
        """Raises ``SiteRefused`` where what was unpacked in ``folder`` may not run here, ``BadInput`` for no job."""
        digest = self.parcel.file.digest
        if package_facts(folder).byoc and not self.policy.lets_code(self.signer, digest):
            what = f"the job brings its own code, signed by {self.signer!r}, and this site does not run that"
            hint = f'the site may list {self.signer!r} or "{digest}" under code'
            raise SiteRefused(what, where=f"{FILE} code", hint=hint)
        _see_needs(self.policy, read_job(folder).resources)


def admit(place: Place, parcel: Parcel) -> Admitted:
    """Judge a parcel before any of it is fetched. Raises ``SiteRefused``."""
    policy = policy_of(place)

    def judge() -> str:
        trust = Trust(place.kit.ca_pem, place.kit.project, revocations(place.kit))
        signer = check_voucher(parcel.voucher, parcel.file.digest, trust, SystemClock().now())
        see_watchable(policy.limits)
        if policy.limits.disk is not None and parcel.file.size > policy.limits.disk:
            raise refused("disk", f"brings {in_words(parcel.file.size)}", in_words(policy.limits.disk))
        data_of(policy, place)
        if policy.worker.sandbox == "bubblewrap":
            see_it_works()
        return signer.name

    admitted = Admitted(policy, decided(judge), parcel)
    log.info("package %s, signed by %s: may come in", parcel.file.digest, admitted.signer)
    return admitted


def policy_of(place: Place) -> SitePolicy:
    """What holds at this moment. Raises ``SiteRefused`` where the file cannot be read: then nothing is allowed."""
    return decided(lambda: read_policy(place.folder))


def see_answered(place: Place, command: str) -> None:
    """Raises ``SiteRefused`` where this site does not answer ``command``."""

    def judge() -> None:
        if not read_policy(place.folder).commands.answers(command):
            what = f"this site does not answer {command!r}"
            hint = "its IT may write shell = true there" if command in SHELL else "the site decides"
            raise SiteRefused(what, where=f"{FILE} [commands]", hint=hint)

    decided(judge)


def data_of(policy: SitePolicy, place: Place) -> Path | None:
    """What trainers see as the site's data: what the client was started with, else the policy's first folder.

    Raises ``SiteRefused`` where the client was started with something that lies in none of the policy's folders.
    """
    folders = policy.data.paths
    if place.data is None:
        return folders[0] if folders else None
    if folders and not any(place.data.is_relative_to(folder) for folder in folders):
        hint = "start the client without --data, or with one of these folders"
        raise SiteRefused(f"{place.data} lies in none of the folders", where=f"{FILE} [data] folders", hint=hint)
    return place.data


def decided(judge: Callable[[], T]) -> T:
    """What ``judge`` says. What it does not allow, or cannot read, is refused in the name of this site; which one that
    is stands beside every answer of a site."""
    try:
        return judge()
    except (BadInput, Refused, SiteRefused) as error:
        refusal = SiteRefused(error.what, where=error.where, hint=error.hint)
        log.warning("refused: %s", refusal)
        raise refusal from None


def _see_needs(policy: SitePolicy, needs: ResourcesPart) -> None:
    """Raises ``SiteRefused`` where the job says that it needs more than it may take here."""
    limits = policy.limits
    for key, need, most, words in (
        ("gpus", needs.gpus, limits.gpus, str),
        ("cpus", needs.cpus, limits.cpus, str),
        ("memory", needs.memory_bytes, limits.memory, in_words),
        ("disk", needs.disk_bytes, limits.disk, in_words),
        ("run_time", round(needs.seconds), limits.run_time, "{} s".format),
    ):
        if most is not None and need > most:
            raise refused(key, f"says it needs {words(need)} ({key})", words(round(most)))
