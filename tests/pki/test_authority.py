"""Certificates: what is in them, and that OpenSSL itself accepts them by its strictest rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from rondo.base.errors import BadInput, Refused
from rondo.pki.authority import load_authority, make_authority
from rondo.pki.certificates import (
    Role,
    check_dates,
    check_issued,
    check_pair,
    load_key,
    parse_authority,
    parse_certificate,
)
from tests.pki.kits import DAY, NOW, authority


def test_authority_is_a_p256_root_for_ten_years() -> None:
    root = authority().certificate
    assert root.is_authority and root.name == root.issuer == "study"
    assert root.not_after == NOW + 3650 * DAY
    assert root.not_before == NOW - 3600
    key = root.x509().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    usage = root.x509().extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign


@pytest.mark.parametrize(
    ("role", "name", "usage"),
    [
        (Role.SERVER, "fl.example.org", "server"),
        (Role.CLIENT, "site_1", "client"),
        (Role.ADMIN, "lead@example.org", "client"),
    ],
)
def test_leaf_names_role_and_usage(role: Role, name: str, usage: str) -> None:
    root = authority()
    leaf = root.issue(role, name, "University Hospital", NOW).certificate
    assert (leaf.name, leaf.org, leaf.unit, leaf.issuer) == (name, "University Hospital", role, "study")
    assert leaf.hosts == (name,) and leaf.usages == {usage} and not leaf.is_authority
    assert leaf.not_after == NOW + 825 * DAY
    names = leaf.x509().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    kind = x509.RFC822Name if role == Role.ADMIN else x509.DNSName
    assert names.get_values_for_type(kind) == [name]
    check_issued(leaf, root.certificate, "leaf")


def test_openssl_accepts_the_chain_strictly(tmp_path: Path) -> None:
    root = authority()
    leaf = root.issue(Role.SERVER, "fl.example.org", "org", NOW)
    (tmp_path / "ca.pem").write_bytes(root.certificate.pem)
    (tmp_path / "leaf.pem").write_bytes(leaf.cert_pem)
    strict = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW)), "-CAfile", "ca.pem"]
    for more, good in ((["-verify_hostname", "fl.example.org"], True), (["-verify_hostname", "fl.example.com"], False)):
        done = subprocess.run(
            [*strict, "-purpose", "sslserver", *more, "leaf.pem"], cwd=tmp_path, capture_output=True, check=False
        )
        assert (done.returncode == 0) is good, done.stderr


def test_leaf_does_not_outlive_its_authority() -> None:
    root = make_authority("study", NOW, days=100)
    assert root.issue(Role.CLIENT, "site", "org", NOW).certificate.not_after == NOW + 100 * DAY
    with pytest.raises(Refused, match=r"authority expired on 20"):
        root.issue(Role.CLIENT, "site", "org", NOW + 101 * DAY)


def test_renewed_certificate_has_another_key_and_serial() -> None:
    root = authority()
    old = root.issue(Role.CLIENT, "site", "org", NOW)
    new = root.renew(old.certificate, NOW + DAY)
    assert (new.certificate.name, new.certificate.org, new.certificate.unit) == ("site", "org", "client")
    assert new.certificate.serial != old.certificate.serial
    assert new.certificate.fingerprint != old.certificate.fingerprint
    assert load_key(new.key_pem, "new").public_key() != load_key(old.key_pem, "old").public_key()
    check_pair(new.certificate, new.key_pem, "new")
    with pytest.raises(Refused, match="does not belong"):
        check_pair(new.certificate, old.key_pem, "old")


@pytest.mark.parametrize(
    "name",
    ["", " site", "a b", "-site", ".site", "site/..", "../x", "a\nb", "a:b", "é", "x" * 65, "a\0b", "_site", "site\n"],
)
def test_names_that_could_hurt_a_file_or_a_console_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        authority().issue(Role.CLIENT, name, "org", NOW)


def test_foreign_certificate_is_named_with_its_signer() -> None:
    ours, theirs = authority(), authority("other")
    leaf = theirs.issue(Role.CLIENT, "site", "org", NOW).certificate
    with pytest.raises(Refused, match="'site' was signed by 'other', which is not this project's authority 'study'"):
        check_issued(leaf, ours.certificate, "leaf")


def test_same_project_name_does_not_make_the_same_authority() -> None:
    leaf = authority().issue(Role.CLIENT, "site", "org", NOW).certificate
    with pytest.raises(Refused, match="not this project's authority"):
        check_issued(leaf, authority().certificate, "leaf")


def test_a_participant_is_no_authority() -> None:
    root = authority()
    leaf = root.issue(Role.CLIENT, "site", "org", NOW)
    with pytest.raises(BadInput, match="no authority"):
        parse_authority(leaf.cert_pem, "rootCA.pem")
    with pytest.raises(BadInput, match="no authority"):
        load_authority(leaf.cert_pem, leaf.key_pem, "state")
    with pytest.raises(Refused, match="does not belong"):
        load_authority(root.certificate.pem, leaf.key_pem, "state")


def test_dates_name_certificate_day_and_remedy() -> None:
    leaf = authority().issue(Role.CLIENT, "site", "org", NOW, days=1).certificate
    check_dates(leaf, leaf.not_after, "client.crt")
    with pytest.raises(Refused) as expired:
        check_dates(leaf, leaf.not_after + 1, "client.crt")
    assert "'site' expired on 2027-01-16" in str(expired.value)
    assert "rondo provision renew site" in str(expired.value)
    with pytest.raises(Refused, match="clock says"):
        check_dates(leaf, leaf.not_before - 1, "client.crt")


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"no X\.509 certificate"):
        parse_certificate(data, "x.crt")


def test_two_certificates_in_one_file_are_refused() -> None:
    pem = authority().certificate.pem
    with pytest.raises(BadInput, match="exactly one"):
        parse_certificate(pem + pem, "x.crt")


def test_keys_do_not_show_in_what_is_printed() -> None:
    root = authority()
    issued = root.issue(Role.CLIENT, "site", "org", NOW)
    for secret, shown in ((root.key_pem, repr(root)), (issued.key_pem, repr(issued))):
        assert "PRIVATE" not in shown
        assert secret.splitlines()[1].decode() not in shown
