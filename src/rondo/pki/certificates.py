"""X.509 certificates as values: what is in them, who signed them, whether their key fits (RFC 5280, RFC 6125)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rondo.base.errors import BadInput, Refused


class Role(StrEnum):
    """What a participant is; it stands in the certificate (OU), so that a client cannot pass for an admin."""

    SERVER = "server"
    CLIENT = "client"
    ADMIN = "admin"


@dataclass(frozen=True)
class Certificate:
    """One parsed certificate.

    ``name``, ``org``, ``unit``: CN, O and OU of the subject (empty where absent). ``hosts``: the names of the
    SAN, DNS and e-mail. ``fingerprint``: SHA-256 of the DER, 64 hex digits. ``serial``: hex.
    ``not_before``/``not_after``: seconds since the epoch.
    """

    name: str
    org: str
    unit: str
    issuer: str
    hosts: tuple[str, ...]
    fingerprint: str
    serial: str
    not_before: float
    not_after: float
    is_authority: bool
    usages: frozenset[str]
    der: bytes = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.x509().public_bytes(serialization.Encoding.PEM)

    def x509(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


def parse_certificate(data: bytes, where: str) -> Certificate:
    """The certificate in ``data``: exactly one, PEM or DER. Raises ``BadInput``."""
    pem = b"-----BEGIN" in data
    if pem and data.count(b"-----BEGIN") != 1:
        raise BadInput("expected exactly one PEM block", where=where, hint="keep only the certificate itself")
    try:
        found = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        return _facts(found)
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise BadInput("this is no X.509 certificate", where=where, hint=str(error)) from None


def _facts(found: x509.Certificate) -> Certificate:
    return Certificate(
        name=_attribute(found.subject, NameOID.COMMON_NAME),
        org=_attribute(found.subject, NameOID.ORGANIZATION_NAME),
        unit=_attribute(found.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        issuer=_attribute(found.issuer, NameOID.COMMON_NAME),
        hosts=_hosts(found),
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        serial=f"{found.serial_number:x}",
        not_before=found.not_valid_before_utc.timestamp(),
        not_after=found.not_valid_after_utc.timestamp(),
        is_authority=_is_authority(found),
        usages=_usages(found),
        der=found.public_bytes(serialization.Encoding.DER),
    )


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if len(values) == 1 else ""


def _hosts(found: x509.Certificate) -> tuple[str, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.RFC822Name))


def _is_authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usages(found: x509.Certificate) -> frozenset[str]:
    known = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    try:
        usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(known[usage] for usage in usages if usage in known)


def parse_authority(data: bytes, where: str) -> Certificate:
    """The root certificate in ``data``. Raises ``BadInput`` if it is none, or not signed by itself."""
    found = parse_certificate(data, where)
    if not found.is_authority:
        raise BadInput(f"the certificate of {found.name!r} is no authority (CA)", where=where)
    try:
        check_issued(found, found, where)
    except Refused:
        raise BadInput("the root certificate is not signed by itself", where=where) from None
    return found


def check_issued(certificate: Certificate, authority: Certificate, where: str) -> None:
    """Raise ``Refused`` unless ``authority`` signed ``certificate``."""
    try:
        certificate.x509().verify_directly_issued_by(authority.x509())
    except (ValueError, TypeError, InvalidSignature):
        raise Refused(
            f"the certificate of {certificate.name!r} was signed by {certificate.issuer!r}, "
            f"which is not this project's authority {authority.name!r} (sha256 {authority.fingerprint[:16]}...)",
            where=where,
            hint="both sides need kits that were provisioned with the same state folder",
        ) from None


def check_dates(certificate: Certificate, now: float, where: str) -> None:
    """Raise ``Refused`` where ``now`` (seconds since the epoch) is outside the certificate's validity."""
    if now > certificate.not_after:
        raise Refused(
            f"the certificate of {certificate.name!r} expired on {day(certificate.not_after)}",
            where=where,
            hint="provision the project anew, with another state folder"
            if certificate.is_authority
            else f"ask whoever provisions the project for: rondo provision renew {certificate.name}",
        )
    if now < certificate.not_before:
        raise Refused(
            f"the certificate of {certificate.name!r} is valid from {moment(certificate.not_before)} on, "
            f"and this machine's clock says {moment(now)}",
            where=where,
            hint="set the clock",
        )


def check_pair(certificate: Certificate, key_pem: bytes, where: str) -> None:
    """Raise ``Refused`` unless the private key belongs to the certificate."""
    key = load_key(key_pem, where)
    if key.public_key() != certificate.x509().public_key():
        raise Refused(f"the private key does not belong to the certificate of {certificate.name!r}", where=where)


def load_key(key_pem: bytes, where: str) -> ec.EllipticCurvePrivateKey:
    """The unencrypted P-256 private key in ``key_pem``. Raises ``BadInput``; never repeats what it read."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        raise BadInput("this is no unencrypted PEM private key", where=where) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput("the private key is not an ECDSA P-256 key", where=where)
    return key


def day(at: float) -> str:
    """The UTC date of ``at`` (epoch), for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def moment(at: float) -> str:
    """UTC date and time of ``at`` (epoch), for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
