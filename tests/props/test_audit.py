"""A random audit log: whatever single thing is done to it is found, and in its place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rondo.base.chain import START, Entry, Link, clean, entry, linked, read_line
from rondo.base.journal import LOG, Fault
from rondo.client.audit import prove_site

TEXTS = st.text(max_size=30) | st.sampled_from(["] [M:x", "\n[E:", "\\x5b", "a" * 500, "\ud800", ""])
ENTRIES = st.builds(entry, st.floats(0, 4e9), TEXTS, TEXTS, TEXTS)


def chain(told: Sequence[Entry]) -> list[Link]:
    links: list[Link] = []
    for one in told:
        links.append(linked(links[-1].head if links else START, one))
    return links


LOGS = st.lists(ENTRIES, min_size=3, max_size=8).map(chain)


def found(log: bytes, links: Sequence[Link]) -> list[Fault]:
    """What is wrong with ``log``, where the server knows the end of ``links``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / LOG).write_bytes(log)
        return prove_site(Path(folder), links[-1].head)[1]


def written(links: Sequence[Link]) -> list[bytes]:
    return [link.line.encode() + b"\n" for link in links]


@given(LOGS)
def test_what_is_written_is_read_and_whole(links: list[Link]) -> None:
    assert [read_line(raw[:-1]) for raw in written(links)] == links
    assert found(b"".join(written(links)), links) == []


@given(st.text(max_size=300), st.integers(0, 300))
def test_what_is_made_harmless_is_one_field(text: str, most: int) -> None:
    harmless = clean(text, most)
    assert len(harmless) <= most and harmless.isprintable() and not set(harmless) & set("[]")
    if most > 10 * len(text):  # nothing is cut: then nothing is lost
        assert harmless.encode("ascii", "backslashreplace").decode("unicode_escape") == text


@given(LOGS, st.data())
def test_any_changed_byte_is_found_in_its_line(links: list[Link], data: st.DataObject) -> None:
    raws = written(links)
    line = data.draw(st.integers(0, len(raws) - 1))
    changed = bytearray(raws[line])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    faults = found(b"".join([*raws[:line], bytes(changed), *raws[line + 1 :]]), links)
    assert faults and faults[0].where == f"{LOG}:{line + 1}"


@given(LOGS, st.data())
def test_any_added_byte_is_found_in_its_line(links: list[Link], data: st.DataObject) -> None:
    raws = written(links)
    line = data.draw(st.integers(0, len(raws) - 1))
    at, more = data.draw(st.integers(0, len(raws[line]) - 1)), data.draw(st.binary(min_size=1, max_size=3))
    changed = raws[line][:at] + more + raws[line][at:]
    faults = found(b"".join([*raws[:line], changed, *raws[line + 1 :]]), links)
    assert faults and faults[0].where == f"{LOG}:{line + 1}"


@given(LOGS, st.data())
def test_any_removed_lines_are_found_where_they_were(links: list[Link], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(links) - 1))
    after = data.draw(st.integers(first + 1, len(links)))
    faults = found(b"".join(written([*links[:first], *links[after:]])), links)
    if after == len(links):
        assert [fault.where for fault in faults] == ["the end"]
    else:
        assert [(fault.where, fault.event) for fault in faults] == [(f"{LOG}:{first + 1}", links[after].entry.event)]
        assert "missing before" in faults[0].what


@given(LOGS, st.data())
def test_any_two_lines_that_change_places_are_found(links: list[Link], data: st.DataObject) -> None:
    one = data.draw(st.integers(0, len(links) - 2))
    two = data.draw(st.integers(one + 1, len(links) - 1))
    moved = list(links)
    moved[one], moved[two] = links[two], links[one]
    faults = found(b"".join(written(moved)), links)
    assert faults[0].where == f"{LOG}:{one + 1}" and faults[0].event == links[two].entry.event


@given(LOGS, st.data())
def test_a_line_that_is_there_twice_is_found(links: list[Link], data: st.DataObject) -> None:
    one = data.draw(st.integers(0, len(links) - 1))
    to = data.draw(st.integers(one + 1, len(links)))
    faults = found(b"".join(written([*links[:to], links[one], *links[to:]])), links)
    assert [(fault.where, fault.event) for fault in faults] == [(f"{LOG}:{to + 1}", links[one].entry.event)]


@given(LOGS, st.floats(0, 1, exclude_max=True))
def test_any_cut_is_found(links: list[Link], share: float) -> None:
    log = b"".join(written(links))
    kept = log[: int(len(log) * share)]
    faults = found(kept, links)
    whole = kept.count(b"\n")
    cut = [f"{LOG}:{whole + 1}"] if kept and not kept.endswith(b"\n") else []
    assert [fault.where for fault in faults][: len(cut)] == cut
    assert faults


@given(LOGS, ENTRIES, st.data())
def test_a_chain_that_was_made_anew_is_found_by_its_end(links: list[Link], other: Entry, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    forged = chain([*(link.entry for link in links[:at]), other, *(link.entry for link in links[at + 1 :])])
    faults = found(b"".join(written(forged)), links)
    assert [fault.where for fault in faults] == [f"{LOG}:{len(links)}"]
