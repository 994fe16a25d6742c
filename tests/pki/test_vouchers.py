"""Signed packages: whose word counts, for which package, and what is no word at all."""

from __future__ import annotations

import pytest

from rondo.base.errors import BadInput, Refused, RondoError
from rondo.pki.authority import Authority, Issued
from rondo.pki.certificates import Role
from rondo.pki.revocation import RevocationList, Revoked, sign_list
from rondo.pki.signatures import sign
from rondo.pki.trust import Trust
from rondo.pki.vouchers import MOST_BYTES, check_voucher, vouch
from tests.pki.kits import DAY, NOW, authority

DIGEST = "blake3:" + "ab" * 32
OTHER = "blake3:" + "cd" * 32
ROOT = authority()


def issued(root: Authority = ROOT, role: Role = Role.ADMIN, days: float = 30) -> Issued:
    return root.issue(role, "lead@hub.org", "hub", NOW, days)


LEAD = issued()


def voucher(by: Issued = LEAD, digest: str = DIGEST, project: str = "study") -> str:
    return vouch(digest, project, by.cert_pem, by.key_pem)


def trust() -> Trust:
    return Trust(ROOT.certificate.pem, "study")


def test_who_signed() -> None:
    assert check_voucher(voucher(), DIGEST, trust(), NOW).name == "lead@hub.org"


def raw(by: Issued = LEAD) -> str:
    """A signature over the bare digest: what some other protocol might have had signed."""
    return f"{sign(DIGEST.encode(), by.key_pem)}\n{by.cert_pem.decode()}"


BAD: dict[str, tuple[str, type[RondoError], str]] = {
    "unsigned": ("", Refused, "is not signed"),
    "of another package": (voucher(digest=OTHER), Refused, "not one of 'lead@hub.org' over this content"),
    "for another project": (voucher(project="other"), Refused, "over this content"),
    "for another purpose": (raw(), Refused, "over this content"),
    "of a foreign authority": (voucher(issued(authority())), Refused, "not this project's authority"),
    "of a client": (voucher(issued(role=Role.CLIENT)), Refused, "for role client, not for role admin"),
    "of a server": (voucher(issued(role=Role.SERVER)), Refused, "not for role admin"),
    "somebody else's certificate": (
        f"{voucher().partition(chr(10))[0]}\n{issued().cert_pem.decode()}",
        Refused,
        "over this content",
    ),
    "no certificate": (voucher().partition("\n")[0], BadInput, "no X.509 certificate"),
    "two certificates": (voucher() + LEAD.cert_pem.decode(), BadInput, "exactly one PEM block"),
    "too long": ("a" * (MOST_BYTES + 1), BadInput, "no signature of a package"),
    "no text": ("\u00e9", BadInput, "no signature of a package"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_word(name: str) -> None:
    text, kind, says = BAD[name]
    with pytest.raises(kind, match=says):
        check_voucher(text, DIGEST, trust(), NOW)


def test_every_changed_byte_of_the_signature_is_found() -> None:
    signature, _, rest = voucher().partition("\n")
    for at in range(len(signature)):
        changed = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
        with pytest.raises(Refused):
            check_voucher(f"{changed}\n{rest}", DIGEST, trust(), NOW)


def test_an_expired_signer_is_refused() -> None:
    with pytest.raises(Refused, match=r"'lead@hub\.org' expired"):
        check_voucher(voucher(issued(days=1)), DIGEST, trust(), NOW + 2 * DAY)


def test_a_revoked_signer_is_refused() -> None:
    certificate = LEAD.certificate
    gone = Revoked(name="lead@hub.org", fingerprint=certificate.fingerprint, serial=certificate.serial, at=NOW)
    listed = RevocationList(project="study", number=1, issued_at=NOW, entries=(gone,))
    knowing = trust()
    knowing.adopt(sign_list(listed, ROOT), "revoked.json")
    with pytest.raises(Refused, match=r"'lead@hub\.org' was revoked"):
        check_voucher(voucher(), DIGEST, knowing, NOW)
