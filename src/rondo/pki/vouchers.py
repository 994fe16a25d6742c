"""A voucher: an admin's signature under a job package, with the certificate that it is measured against.

It travels and is kept with the package, as one short text. What is signed is the package's digest, in a statement
that names its purpose and the project: a signature that was made for anything else, or for another project, is none.
"""

from __future__ import annotations

from rondo.base.errors import BadInput, Refused
from rondo.pki.certificates import Certificate, Role, parse_certificate
from rondo.pki.signatures import sign, verify
from rondo.pki.trust import Trust

MOST_BYTES = 8192  # a signature is a line of 100 characters, a certificate of this project takes 800

_HINT = "upload the job again: rondo job submit, or upload_folder in the console; both sign what they send"


def vouch(digest: str, project: str, certificate_pem: bytes, key_pem: bytes) -> str:
    """The voucher of the owner of that key for the package with this digest: the signature's line, then the PEM."""
    return f"{sign(_statement(digest, project), key_pem)}\n{certificate_pem.decode('ascii')}"


def check_voucher(voucher: str, digest: str, trust: Trust, now: float) -> Certificate:
    """The certificate of the admin who signed the package with this digest.

    Raises ``BadInput`` for what is no voucher, ``Refused`` where there is none, where its certificate is not that of
    an admin whom ``trust`` admits at ``now`` (epoch), or where the signature is not theirs over this very package.
    """
    where = f"package {digest[:23]}..."
    if not voucher:
        raise Refused("the package is not signed", where=where, hint=_HINT)
    if len(voucher) > MOST_BYTES or not voucher.isascii():
        raise BadInput(f"no signature of a package: more than {MOST_BYTES} bytes, or no text", where=where, hint=_HINT)
    signature, _, presented = voucher.partition("\n")
    claimed = parse_certificate(presented.encode(), f"{where}: certificate of its signer")
    signer = trust.admit(claimed.der, now, Role.ADMIN, claimed.name)
    verify(_statement(digest, trust.revoked.project), signature, signer, where)
    return signer


def _statement(digest: str, project: str) -> bytes:
    return f"rondo package, version 1\n{project}\n{digest}\n".encode()
