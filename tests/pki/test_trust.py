"""Doors that check or raise: revocation lists and the trusted set."""

from __future__ import annotations

import msgspec
import pytest

from rondo.base.errors import BadInput, Refused
from rondo.pki.authority import Authority
from rondo.pki.certificates import Certificate, Role
from rondo.pki.revocation import RevocationList, Revoked, nothing_revoked, read_list, sign_list
from rondo.pki.trust import Trust
from tests.pki.kits import DAY, NOW, authority


def revoked(certificate: Certificate, reason: str = "left the study") -> Revoked:
    return Revoked(
        name=certificate.name,
        fingerprint=certificate.fingerprint,
        serial=certificate.serial,
        at=NOW,
        reason=reason,
    )


def listed(*certificates: Certificate, number: int = 1, project: str = "study") -> RevocationList:
    entries = tuple(map(revoked, certificates))
    return RevocationList(project=project, number=number, issued_at=NOW, entries=entries)


def leaf(root: Authority, name: str = "site", role: Role = Role.CLIENT, days: float = 30) -> Certificate:
    return root.issue(role, name, "org1", NOW, days).certificate


def test_who_is_let_in() -> None:
    root = authority()
    trust = Trust(root.certificate.pem, "study")
    certificate = leaf(root)
    assert trust.admit(certificate.pem, NOW, Role.CLIENT, "site") == certificate
    assert trust.admit(certificate.der, NOW, Role.CLIENT, "site") == certificate


def test_foreign_authority_is_refused() -> None:
    trust = Trust(authority().certificate.pem, "study")
    with pytest.raises(Refused, match="not this project's authority"):
        trust.admit(leaf(authority()).pem, NOW, Role.CLIENT, "site")


def test_expired_is_refused() -> None:
    root = authority()
    with pytest.raises(Refused, match="'site' expired on 2027-02-14"):
        Trust(root.certificate.pem, "study").admit(leaf(root).pem, NOW + 31 * DAY, Role.CLIENT, "site")


def test_wrong_name_is_refused() -> None:
    root = authority()
    with pytest.raises(Refused, match="client ID does not match the SSL certificate CN"):
        Trust(root.certificate.pem, "study").admit(leaf(root).pem, NOW, Role.CLIENT, "site_2")


@pytest.mark.parametrize(("has", "claims"), [(Role.CLIENT, Role.ADMIN), (Role.ADMIN, Role.CLIENT)])
def test_wrong_role_is_refused(has: Role, claims: Role) -> None:
    root = authority()
    with pytest.raises(Refused, match=f"for role {has}, not for role {claims}"):
        Trust(root.certificate.pem, "study").admit(leaf(root, role=has).pem, NOW, claims, "site")


def test_garbage_is_refused() -> None:
    with pytest.raises(BadInput):
        Trust(authority().certificate.pem, "study").admit(b"garbage", NOW, Role.CLIENT, "site")


def test_revoked_is_refused_with_the_reason_and_its_renewal_is_not() -> None:
    root = authority()
    trust = Trust(root.certificate.pem, "study")
    old = leaf(root)
    new = root.renew(old, NOW).certificate
    assert trust.adopt(sign_list(listed(old), root), "revoked.json") is True
    with pytest.raises(Refused, match=r"was revoked on 2027-01-15: left the study"):
        trust.admit(old.pem, NOW, Role.CLIENT, "site")
    assert trust.admit(new.pem, NOW, Role.CLIENT, "site") == new


def test_only_a_higher_number_replaces_a_list() -> None:
    root = authority()
    trust = Trust(root.certificate.pem, "study")
    first, second = leaf(root), leaf(root, "other")
    assert trust.adopt(sign_list(listed(first, number=3), root), "revoked.json")
    assert trust.adopt(sign_list(listed(first, number=3), root), "revoked.json") is False
    for number in (1, 2, 3):
        with pytest.raises(Refused, match=f"list {number} cannot replace list 3"):
            trust.adopt(sign_list(listed(second, number=number), root), "revoked.json")
    assert trust.revoked.number == 3
    assert trust.adopt(sign_list(listed(first, second, number=4), root), "revoked.json")


def test_list_of_a_foreign_authority_or_project_keeps_the_old_one() -> None:
    root = authority()
    trust = Trust(root.certificate.pem, "study")
    with pytest.raises(Refused, match="signature"):
        trust.adopt(sign_list(listed(leaf(root)), authority()), "revoked.json")
    with pytest.raises(Refused, match="project 'other'"):
        trust.adopt(sign_list(listed(leaf(root), project="other"), root), "revoked.json")
    assert trust.revoked == nothing_revoked("study")


def test_changed_list_is_refused() -> None:
    root = authority()
    first = leaf(root)
    data = sign_list(listed(first), root)
    with pytest.raises(Refused, match="signature"):
        read_list(data.replace(first.fingerprint.encode(), b"0" * 64), root.certificate, "study", "revoked.json")
    with pytest.raises(Refused, match="signature"):
        read_list(data.replace(b'"number": 1', b'"number": 9'), root.certificate, "study", "revoked.json")
    with pytest.raises(BadInput, match=r"revoked\.json: not a revocation list"):
        read_list(data[:-10], root.certificate, "study", "revoked.json")
    more = msgspec.json.encode({**msgspec.json.decode(data), "note": "x"})
    with pytest.raises(BadInput, match="unknown field"):
        read_list(more, root.certificate, "study", "revoked.json")


def test_adding_keeps_what_is_there() -> None:
    root = authority()
    first, second = leaf(root), leaf(root, "other")
    one = nothing_revoked("study").adding((revoked(first),), NOW)
    two = one.adding((revoked(first, "again"), revoked(second)), NOW + 1)
    assert (one.number, two.number, two.issued_at) == (1, 2, NOW + 1)
    assert [(entry.name, entry.reason) for entry in two.entries] == [
        ("site", "left the study"),
        ("other", "left the study"),
    ]
