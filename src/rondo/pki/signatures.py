"""Detached signatures: ECDSA P-256 over SHA-256 (FIPS 186-5), DER, as one line of base64."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from rondo.base.errors import BadInput, Refused
from rondo.pki.certificates import Certificate, load_key


def sign(data: bytes, key_pem: bytes, where: str = "private key") -> str:
    """The signature of ``data`` by the private key, base64."""
    return base64.b64encode(load_key(key_pem, where).sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def verify(data: bytes, signature: str, signer: Certificate, where: str) -> None:
    """Raise ``Refused`` unless ``signature`` is the one of ``signer`` over ``data``.

    Base64 that is not in its one canonical spelling is refused too: a changed byte is a changed signature.
    """
    key = signer.x509().public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadInput(f"the certificate of {signer.name!r} carries no elliptic curve key", where=where)
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode() != signature:
            raise InvalidSignature
        key.verify(raw, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise Refused(
            f"the signature is not one of {signer.name!r} over this content",
            where=where,
            hint="the file was changed or belongs to another project; ask for it again",
        ) from None
