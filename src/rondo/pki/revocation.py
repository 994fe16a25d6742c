"""The list of certificates that count no more: signed JSON, numbered, so that an old list cannot come back.

Shaped after a certificate revocation list (RFC 5280, section 5), in a form people can read.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from rondo.base.errors import BadInput, Refused
from rondo.pki.authority import Authority
from rondo.pki.certificates import Certificate, day
from rondo.pki.signatures import sign, verify

REVOKED = "revoked.json"


class Revoked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One revoked certificate. ``fingerprint``: SHA-256 of the DER, hex; ``at``: seconds since the epoch."""

    name: str
    fingerprint: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    serial: str
    at: float
    reason: str = ""


class RevocationList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Number ``number`` (0: nothing was ever revoked) of ``project``'s lists, issued at ``issued_at`` (epoch)."""

    project: str
    number: int
    issued_at: float
    entries: tuple[Revoked, ...] = ()

    def entry(self, fingerprint: str) -> Revoked | None:
        """The entry of the certificate with this fingerprint, or None: it is not revoked."""
        return next((entry for entry in self.entries if entry.fingerprint == fingerprint), None)

    def check(self, certificate: Certificate, where: str) -> None:
        """Raise ``Refused`` where ``certificate`` is revoked."""
        entry = self.entry(certificate.fingerprint)
        if entry is not None:
            reason = f": {entry.reason}" if entry.reason else ""
            raise Refused(
                f"the certificate of {certificate.name!r} was revoked on {day(entry.at)}{reason}",
                where=where,
                hint=f"ask whoever provisions the project for: rondo provision renew {certificate.name}",
            )

    def adding(self, entries: tuple[Revoked, ...], now: float) -> RevocationList:
        """The next list, with ``entries`` added; a certificate that is on the list already stays as it is."""
        new = tuple(entry for entry in entries if self.entry(entry.fingerprint) is None)
        return RevocationList(project=self.project, number=self.number + 1, issued_at=now, entries=self.entries + new)

    def replaced_by(self, other: RevocationList, where: str) -> RevocationList:
        """``other`` if its number is higher; this list if both are the same.

        Raises ``Refused`` for a lower number, another project, or the same number with other content.
        """
        if other.project != self.project:
            raise Refused(f"this is the list of project {other.project!r}, not {self.project!r}", where=where)
        if other == self:
            return self
        if other.number <= self.number:
            raise Refused(
                f"revocation list {other.number} cannot replace list {self.number}",
                where=where,
                hint="copy the newest revoked.json from the provisioning state folder",
            )
        return other


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    revoked: RevocationList
    signature: str


def nothing_revoked(project: str) -> RevocationList:
    """The list that every project begins with: number 0."""
    return RevocationList(project=project, number=0, issued_at=0.0)


def sign_list(listed: RevocationList, authority: Authority) -> bytes:
    """``revoked.json``: the list and the authority's signature over its canonical encoding."""
    file = _File(revoked=listed, signature=sign(msgspec.json.encode(listed), authority.key_pem))
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def read_list(data: bytes, authority: Certificate, project: str, where: str) -> RevocationList:
    """The list in ``data``, believed only when ``authority`` signed it for ``project``.

    Raises ``BadInput`` when it is malformed, ``Refused`` when the signature or the project is another's.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"not a revocation list: {error}", where=where) from None
    verify(msgspec.json.encode(file.revoked), file.signature, authority, where)
    return nothing_revoked(project).replaced_by(file.revoked, where)
