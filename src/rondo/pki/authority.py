"""The project's own certificate authority: one self-signed root that signs every participant and every kit.

ECDSA P-256 with SHA-256 throughout (FIPS 186-5), extensions as RFC 5280 asks. Keys and serial numbers come from
the operating system's random source by way of ``cryptography``; time comes in as an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rondo.base.errors import BadInput, Refused
from rondo.pki.certificates import (
    Certificate,
    Role,
    check_pair,
    day,
    load_key,
    parse_authority,
    parse_certificate,
)

AUTHORITY_DAYS = 3650
LEAF_DAYS = 825

# Clocks in hospitals differ: a certificate made now is accepted by a machine that is up to an hour behind.
_EARLIER = timedelta(hours=1)
# RFC 5280 upper bound of common name, organization and unit.
MAX_NAME = 64

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*\Z")


@dataclass(frozen=True)
class Issued:
    """A new certificate with its private key (unencrypted PKCS#8 PEM)."""

    certificate: Certificate
    cert_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True)
class Authority:
    """The root of a project: its certificate and its key. Whoever holds one can make participants."""

    certificate: Certificate
    key_pem: bytes = field(repr=False)

    def issue(self, role: Role, name: str, org: str, now: float, days: float = LEAF_DAYS) -> Issued:
        """A new key and a certificate for it, valid from an hour before ``now`` for ``days``.

        The common name is ``name``, the unit is ``role``. It never outlives the authority. Raises ``BadInput``
        for a name that a certificate, a file or a command line could not carry, ``Refused`` once the authority
        itself has expired.
        """
        check_name(name, "name")
        if now > self.certificate.not_after:
            raise Refused(
                f"the project's authority expired on {day(self.certificate.not_after)}",
                hint="provision the project anew, with another state folder",
            )
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(_instant(now) + timedelta(days=days), _instant(self.certificate.not_after))
        root = self.certificate.x509()
        usage = ExtendedKeyUsageOID.SERVER_AUTH if role == Role.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH
        made = (
            _builder(_subject(name, org, role), root.subject, key, now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(load_key(self.key_pem, "rootCA.key"), hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        return Issued(parse_certificate(pem, name), pem, _key_pem(key))

    def renew(self, old: Certificate, now: float, days: float = LEAF_DAYS) -> Issued:
        """A new key and certificate for the holder of ``old``, which stays valid until it expires."""
        return self.issue(Role(old.unit), old.name, old.org, now, days)


def make_authority(project: str, now: float, days: float = AUTHORITY_DAYS) -> Authority:
    """A new self-signed root for ``project``. Raises ``BadInput`` for a name a certificate cannot carry."""
    _check_text(project, "project")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, project)])
    made = (
        _builder(name, name, key, now, _instant(now) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    return Authority(parse_authority(pem, "rootCA.pem"), _key_pem(key))


def load_authority(cert_pem: bytes, key_pem: bytes, where: str) -> Authority:
    """The authority kept as two PEM files. Raises ``BadInput`` or ``Refused`` if they do not fit together."""
    certificate = parse_authority(cert_pem, where)
    check_pair(certificate, key_pem, where)
    return Authority(certificate, key_pem)


def check_name(name: str, where: str) -> None:
    """Raise ``BadInput`` unless ``name`` can be a common name, a file name and a word on the console."""
    _check_text(name, where)
    if not _NAME.match(name):
        raise BadInput(
            f"{name!r} cannot be used as a name",
            where=where,
            hint="letters, digits and . _ @ - only, and a letter or digit first",
        )


def _check_text(text: str, where: str) -> None:
    if not text or text != text.strip() or not text.isprintable():
        raise BadInput(f"{text!r} cannot be used as a name", where=where, hint="one line, not empty")
    if len(text.encode()) > MAX_NAME:
        raise BadInput(
            f"{text!r} is longer than a certificate can carry", where=where, hint=f"at most {MAX_NAME} bytes"
        )


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def _subject(name: str, org: str, role: Role) -> x509.Name:
    _check_text(org, f"org of {name}")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, org),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.value),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_instant(now) - _EARLIER)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,  # the authority signs kits and revocations as well
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    user, at, host = name.partition("@")
    if at and user and host and "@" not in host:
        return x509.RFC822Name(name)
    return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
