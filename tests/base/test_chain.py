"""The line of an audit log: what it looks like, and that nothing that is told can forge one."""

from __future__ import annotations

import pytest

from rondo.base.chain import LONGEST_ACTION, LONGEST_LINE, START, Chain, Head, clean, entry, linked, read_line
from rondo.base.errors import BadInput

EVENT, REF = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


def test_a_line_has_claras_form_and_its_place_in_the_chain() -> None:
    told = entry(1_700_000_000.1234, "lead@hub.org", "abort client a", "done", ref=REF, event=EVENT)
    link = linked(START, told)
    # printf '%064d\nBODY' 0 | sha256sum
    body = f"[E:{EVENT}] [R:{REF}] [T:2023-11-14T22:13:20.123Z] [U:lead@hub.org] [A:abort client a] [M:done] [H:1"
    digest = "3fc2dcc261a2e05e8886ad45e7f43b5e51d5aabfaef06b57b99e2927014ab500"
    assert link.line == f"{body}-{digest}]"
    assert read_line(link.line.encode()) == link


def test_what_may_be_missing_is_missing() -> None:
    link = linked(Head(6, "ab" * 32), entry(0.0, "a", "log_out", event=EVENT))
    assert link.line.startswith(f"[E:{EVENT}] [T:1970-01-01T00:00:00.000Z] [U:a] [A:log_out] [H:7-")
    assert read_line(link.line.encode()) == link


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("a\nb", "a\\x0ab"),
        ("] [U:root] [A:x", "\\x5d \\x5bU:root\\x5d \\x5bA:x"),
        ("C:\\x5b", "C:\\x5cx5b"),
        ("\u202eevil", "\\u202eevil"),
        ("\U000e0001", "\\U000e0001"),
        ("\udc80", "\\udc80"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_what_could_forge_a_line_is_an_escape(text: str, harmless: str) -> None:
    assert clean(text, 100) == harmless
    link = linked(START, entry(0.0, text, text, text))
    assert read_line(link.line.encode()) == link
    assert link.entry.message == harmless


def test_everything_is_cut_and_no_escape_in_two() -> None:
    assert clean("x" * 1000, LONGEST_ACTION) == "x" * LONGEST_ACTION
    assert clean("abc[", 5) == "abc"
    assert clean("abc[", 6) == "abc"
    assert clean("abc[", 7) == "abc\\x5b"
    longest = linked(Head(10**14, "f" * 64), entry(0.0, *["東" * 5000] * 3, ref=REF)).line
    assert len(longest.encode()) < LONGEST_LINE


def test_only_an_event_is_referred_to() -> None:
    told = entry(0.0, "a", "b", ref="] [U:root", event="1234")
    assert told.ref == ""
    assert told.event != "1234" and read_line(linked(START, told).line.encode()).entry == told


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"[E:1]", b" " * 5000, linked(START, entry(0.0, "a", "b")).line.encode() + b" "],
)
def test_what_is_no_line_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        read_line(raw)
    assert Chain().take(raw) == (None, "this is no line of an audit log")


@pytest.mark.parametrize("text", ["", "1", "01-" + "0" * 64, "1-" + "g" * 64, "-1-" + "0" * 64, "1-" + "0" * 64 + "\n"])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Head.of(text)
    assert str(Head.of("12-" + "0a" * 32)) == "12-" + "0a" * 32
