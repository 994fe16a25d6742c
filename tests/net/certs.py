"""Certificates for tests: a real authority and real leaves, valid, expired, or for another host."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class TestKit:
    """What ``rondo.net`` needs of a kit."""

    __test__ = False

    host: str
    port: int
    ca_pem: bytes
    cert_pem: bytes
    key_pem: bytes
    admin_port: int = 0

    def save(self, path: Path) -> Path:
        """For another process."""
        values = dataclasses.asdict(self)
        path.write_text(json.dumps({key: v.decode() if isinstance(v, bytes) else v for key, v in values.items()}))
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        values = json.loads(path.read_text())
        return cls(**{key: v.encode() if key.endswith("_pem") else v for key, v in values.items()})


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class Authority:
    """A project CA."""

    name: str = "test project"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self.certificate = (
            x509.CertificateBuilder(_name(self.name), _name(self.name), self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def kit(self, name: str, host: str = "localhost", port: int = 0, *, days: int = 10) -> TestKit:
        """A kit for ``name``; ``host`` is both dialled and certified; negative ``days``: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        eku = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = (
            x509.CertificateBuilder(self.certificate.subject, _name(name), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 20 * _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(eku, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pem_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return TestKit(host, port, _pem(self.certificate), _pem(certificate), pem_key)
