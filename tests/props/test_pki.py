"""Whatever is changed in a kit is noticed; whatever name is accepted can be certified and looked up."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import BadInput, RondoError
from rondo.pki.authority import MAX_NAME, check_name
from rondo.pki.certificates import Role
from rondo.pki.kit import open_kit
from rondo.pki.revocation import RevocationList, Revoked, read_list, sign_list
from rondo.pki.signatures import sign, verify
from rondo.pki.trust import Trust
from tests.pki.kits import NOW, Wanted, authority, kit_files

ROOT = authority()
FILES = kit_files(ROOT, Wanted(more={"start.sh": b"#!/bin/sh\nexec rondo\n", "empty": b""}))
FOLDER = Path("ws/startup")
NAMES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=1).flatmap(
    lambda first: st.text(string.ascii_letters + string.digits + "._@-", max_size=MAX_NAME - 1).map(
        lambda rest: first + rest
    )
)


@given(st.data())
def test_any_changed_byte_of_any_file_is_noticed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in sorted(FILES) if FILES[name]]))
    content = bytearray(FILES[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RondoError):
        open_kit({**FILES, name: bytes(content)}, FOLDER)


@given(st.sampled_from(sorted(FILES)), st.binary(min_size=1, max_size=3), st.booleans())
def test_any_added_bytes_are_noticed(name: str, more: bytes, before: bool) -> None:
    content = more + FILES[name] if before else FILES[name] + more
    with pytest.raises(RondoError):
        open_kit({**FILES, name: content}, FOLDER)


@given(st.sampled_from([name for name in sorted(FILES) if FILES[name]]), st.floats(0, 1, exclude_max=True))
def test_any_cut_is_noticed(name: str, at: float) -> None:
    with pytest.raises(RondoError):
        open_kit({**FILES, name: FILES[name][: int(len(FILES[name]) * at)]}, FOLDER)


@pytest.mark.parametrize("name", ["kit.sig", "kit.json"])
def test_every_single_byte_of_the_seal_counts(name: str) -> None:
    for at in range(len(FILES[name])):
        content = bytearray(FILES[name])
        content[at] ^= 1
        with pytest.raises(RondoError):
            open_kit({**FILES, name: bytes(content)}, FOLDER)


@given(NAMES, st.sampled_from([Role.CLIENT, Role.ADMIN]))
def test_any_accepted_name_is_certified_as_it_is(name: str, role: Role) -> None:
    issued = ROOT.issue(role, name, "org", NOW)
    assert issued.certificate.name == name and name in issued.certificate.hosts
    trust = Trust(ROOT.certificate.pem, "study")
    assert trust.admit(issued.cert_pem, NOW, role, name).fingerprint == issued.certificate.fingerprint


@given(st.text(max_size=80))
def test_any_other_name_is_refused_without_harm(name: str) -> None:
    try:
        check_name(name, "name")
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert Path(name).name == name and name.isascii() and 0 < len(name) <= MAX_NAME


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_signature_is_of_one_content(first: bytes, second: bytes) -> None:
    signature = sign(first, ROOT.key_pem)
    verify(first, signature, ROOT.certificate, "x")
    if first != second:
        with pytest.raises(RondoError):
            verify(second, signature, ROOT.certificate, "x")


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.text(max_size=20), st.floats(0, 1e10, allow_nan=False), st.text(max_size=50)), max_size=5),
)
def test_a_list_comes_back_as_it_was_signed(number: int, rows: list[tuple[str, float, str]]) -> None:
    entries = tuple(
        Revoked(name=name, fingerprint=f"{at:064x}", serial="1", at=when, reason=reason)
        for at, (name, when, reason) in enumerate(rows)
    )
    listed = RevocationList(project="study", number=number, issued_at=NOW, entries=entries)
    assert read_list(sign_list(listed, ROOT), ROOT.certificate, "study", "revoked.json") == listed
