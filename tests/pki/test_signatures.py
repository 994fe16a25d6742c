"""Detached signatures: one content, one signer, one spelling."""

from __future__ import annotations

import base64

import pytest

from rondo.base.errors import Refused
from rondo.pki.certificates import Role
from rondo.pki.signatures import sign, verify
from tests.pki.kits import NOW, authority


def test_signature_is_of_its_signer_only() -> None:
    root, other = authority(), authority()
    signature = sign(b"content", root.key_pem)
    verify(b"content", signature, root.certificate, "x")
    for data, signer in ((b"Content", root), (b"content", other), (b"", root)):
        with pytest.raises(Refused, match="x: the signature is not one of 'study'"):
            verify(data, signature, signer.certificate, "x")


def test_other_spellings_of_the_same_signature_are_refused() -> None:
    """Base64 has unused bits before its padding: a changed letter there would decode to the same signature."""
    root = authority()
    signature = next(word for _ in iter(int, 1) if (word := sign(b"content", root.key_pem)).endswith("="))
    raw = base64.b64decode(signature)
    at = signature.index("=") - 1
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    others = [signature[:at] + letter + signature[at + 1 :] for letter in letters if letter != signature[at]]
    same = [word for word in others if base64.b64decode(word) == raw]
    assert same
    for word in [*same, signature + "\n", " " + signature, signature.rstrip("="), signature + "===="]:
        with pytest.raises(Refused):
            verify(b"content", word, root.certificate, "x")


@pytest.mark.parametrize("signature", ["", "é", "AAAA", "====", "MEUCIQ", "not base64 at all"])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    with pytest.raises(Refused):
        verify(b"content", signature, authority().certificate, "x")


def test_certificate_made_for_a_site_signs_no_kit() -> None:
    root = authority()
    leaf = root.issue(Role.CLIENT, "site", "org", NOW)
    with pytest.raises(Refused):
        verify(b"content", sign(b"content", leaf.key_pem), root.certificate, "x")
