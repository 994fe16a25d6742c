"""Who may come in. ``Trust`` can only hold valid things: every door checks or raises.

It holds one project's authority and the newest revocation list seen. Certificates that pass ``admit`` are in date,
signed by that authority, not revoked, and belong to the role and the name that was claimed.
"""

from __future__ import annotations

from rondo.base.errors import Refused
from rondo.pki.certificates import Certificate, Role, check_dates, check_issued, parse_authority, parse_certificate
from rondo.pki.revocation import RevocationList, nothing_revoked, read_list


class Trust:
    """One project's authority and the newest revocation list seen; ``admit`` is the only way in."""

    def __init__(self, ca_pem: bytes, project: str, revoked: RevocationList | None = None) -> None:
        """``revoked``: a list that was verified already. Raises ``BadInput`` unless ``ca_pem`` is one self-signed
        authority, ``Refused`` for the list of another project."""
        self._authority = parse_authority(ca_pem, "rootCA.pem")
        self._revoked = nothing_revoked(project).replaced_by(revoked or nothing_revoked(project), "revocation list")

    @property
    def authority(self) -> Certificate:
        return self._authority

    @property
    def revoked(self) -> RevocationList:
        return self._revoked

    def adopt(self, data: bytes, where: str) -> bool:
        """Take over the list in a ``revoked.json``; True if it is newer than the one held.

        Raises ``BadInput`` or ``Refused`` (malformed, not signed by the authority, another project, a lower
        number) and keeps the list it has.
        """
        listed = read_list(data, self._authority, self._revoked.project, where)
        newer = self._revoked.replaced_by(listed, where)
        changed = newer is not self._revoked
        self._revoked = newer
        return changed

    def admit(self, presented: bytes, now: float, role: Role, name: str) -> Certificate:
        """The certificate that a peer presented (PEM or DER), if it may act as ``role`` under ``name``.

        Raises ``BadInput`` where it cannot be read, ``Refused`` where anything about it is wrong.
        """
        found = parse_certificate(presented, f"certificate presented by {name!r}")
        where = f"certificate of {found.name!r}"
        check_issued(found, self._authority, where)
        check_dates(found, now, where)
        self._revoked.check(found, where)
        if found.name != name:
            raise Refused(
                f"client ID does not match the SSL certificate CN: it claims to be {name!r}, "
                f"its certificate says {found.name!r}",
                where=where,
                hint="start it from the kit of that name",
            )
        if found.unit != role:
            raise Refused(
                f"{found.name!r} has a certificate for role {found.unit or '(none)'}, not for role {role}",
                where=where,
            )
        return found
