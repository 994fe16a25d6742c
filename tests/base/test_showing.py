"""What is shown of a file: the lines asked for, never too much, never for long, and nothing that drives a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base import showing
from rondo.base.pattern import Pattern
from rondo.base.showing import MOST, PIECE, Bounds

LOG = b"one\n\n\ntwo\tx\nthree"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("showing") / "file"


@pytest.fixture
def file(path: Path) -> Iterator[BinaryIO]:
    path.write_bytes(LOG)
    with path.open("rb") as opened:
        yield opened


def written(path: Path, content: bytes) -> BinaryIO:
    path.write_bytes(content)
    return path.open("rb")


def test_a_file_is_shown_as_it_is(file: BinaryIO) -> None:
    assert showing.cat(file) == ["one\n\n\ntwo\tx\nthree"]


def test_lines_are_numbered_squeezed_and_tabs_shown(path: Path) -> None:
    def cat(**how: bool) -> list[str]:
        with written(path, LOG) as file:
            return "\n".join(showing.cat(file, **how)).split("\n")  # type: ignore[arg-type]

    assert cat(number=True) == ["     1\tone", "     2\t", "     3\t", "     4\ttwo\tx", "     5\tthree"]
    assert cat(number_filled=True, number=True) == ["     1\tone", "", "", "     2\ttwo\tx", "     3\tthree"]
    assert cat(squeeze=True, number=True) == ["     1\tone", "     2\t", "     3\ttwo\tx", "     4\tthree"]
    assert cat(tabs=True)[3] == "two^Ix"


@pytest.mark.parametrize(
    ("lines", "count", "first", "last"),
    [
        (10, None, LOG, LOG), (2, None, b"one\n\n", b"two\tx\nthree"), (1, None, b"one\n", b"three"),
        (0, None, b"", b""), (10, 5, b"one\n\n", b"three"), (1, 0, b"", b""), (1, 10**9, LOG, LOG),
        (3, None, b"one\n\n\n", b"\ntwo\tx\nthree"),
    ],
)  # fmt: skip
def test_head_and_tail(path: Path, lines: int, count: int | None, first: bytes, last: bytes) -> None:
    with written(path, LOG) as file:
        assert showing.head(file, lines, count) == ([first.decode().removesuffix("\n")] if first else [])
    with written(path, LOG) as file:
        assert showing.tail(file, lines, count) == ([last.decode().removesuffix("\n")] if last else [])


@given(
    lines=st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=9),
    ended=st.booleans(),
    wanted=st.integers(0, 11),
    block=st.integers(1, 9),
)
def test_the_last_lines_are_those_that_a_list_gives(
    path: Path, lines: list[bytes], ended: bool, wanted: int, block: int
) -> None:
    """Whatever the block by which the file is read backwards."""
    content = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    with written(path, content) as file:
        begin = showing._begin(file, len(content), wanted, MOST, block)
    known = [line + b"\n" for line in content.removesuffix(b"\n").split(b"\n")] if content else []
    last = b"".join(known[len(known) - min(wanted, len(known)) :])
    assert content[begin:] == (last if content.endswith(b"\n") else last.removesuffix(b"\n"))


def size(texts: list[str]) -> int:
    return sum(len(msgspec.json.encode(text)) for text in texts)


CONTENTS = {
    "bytes": bytes(range(256)) * 5000, "zeros": b"\0" * 1_100_000, "newlines": b"\n" * 1_100_000,
    "quotes": b'"\\' * 550_000, "tabs": b"\t\t\n" * 370_000, "broken": b"\xff\xfe" * 550_000,
    "snow": "☃\n".encode() * 275_000,
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_whatever_is_in_a_file_an_answer_is_never_too_large(path: Path, content: bytes) -> None:
    """A server takes 2 MiB from a site; each text is a row of its own, in JSON."""
    pattern = Pattern("")
    looks = (
        lambda file: showing.cat(file, number=True, tabs=True),
        lambda file: showing.head(file, 10**9),
        lambda file: showing.tail(file, 10**9),
        lambda file: showing.tail(file, 10, 10**9),
        lambda file: showing.grep(file, pattern, number=True, offset=True),
    )
    for look in looks:
        with written(path, content) as file:
            texts = look(file)
        assert MOST / 2 < size(texts) <= MOST + 200 and all(size([text]) <= 4 * PIECE for text in texts)
        assert any(text.startswith("(cut: ") for text in (texts[0], texts[-1]))
    with written(path, content) as file:
        texts, place = showing.news(file, 0)
        assert size(texts) <= MOST and 0 < place <= MOST // 4


@given(content=st.binary(max_size=60))
def test_nothing_drives_a_terminal(path: Path, content: bytes) -> None:
    with written(path, content) as file:
        shown = "".join(showing.cat(file))
    assert not any((ord(letter) < 32 and letter not in "\t\n") or 127 <= ord(letter) < 160 for letter in shown)
    assert showing.harmless(b"a\r\nb\x1b[2J") == "a\nb\N{REPLACEMENT CHARACTER}[2J"


def test_grep_tells_lines_and_where_they_are(path: Path) -> None:
    with written(path, b"INFO a\nERROR b\nerror c\r\n") as file:
        assert showing.grep(file, Pattern("error", ignore_case=True), number=True) == ["2:ERROR b\n3:error c"]
        file.seek(0)
        assert showing.grep(file, Pattern("^error"), offset=True) == ["15:error c"]
        file.seek(0)
        assert showing.grep(file, Pattern("nothing")) == []


def test_a_long_line_is_searched_in_parts(path: Path) -> None:
    with written(path, b"x" * 20_000 + b"yz\nyz\n") as file:
        assert showing.grep(file, Pattern("^yz"), number=True) == ["2:yz"]
        file.seek(0)
        assert showing.grep(file, Pattern("yz"), number=True)[0].startswith("1:xxx")


class Ticking:
    """A clock that goes on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_look_ends_when_its_time_is_over_and_says_how_far_it_came(path: Path) -> None:
    with written(path, b"line\n" * 100) as file:
        found = showing.grep(file, Pattern("x"), bounds=Bounds(clock=Ticking()))
        assert found == ["(cut: searched 20 of 500 bytes)"]
        file.seek(0)
        shown = showing.cat(file, bounds=Bounds(clock=Ticking()))
        assert shown[0].count("line") == 4 and shown[1].startswith("(cut: the file has 500 bytes")


def test_news_are_whole_lines(path: Path) -> None:
    with written(path, b"one\ntwo\nthr") as file:
        assert showing.whole(file) == 8
        assert showing.news(file, 4) == (["two"], 8) and showing.news(file, 8) == ([], 8)
        assert showing.news(file, 0, most=6) == (["one"], 4)
        with path.open("ab") as more:
            more.write(b"ee\n")
        assert showing.news(file, 8) == (["three"], 14)
        assert showing.tail(file, 1, end=8) == ["two"]
    with written(path, b"x" * 100) as file:
        assert showing.news(file, 0, most=10) == (["x" * 10], 10), "a line without end is shown in parts"
        assert showing.whole(file) == 0
    with written(path, b"x" * 2 * PIECE) as file:
        assert showing.whole(file) == os.fstat(file.fileno()).st_size
