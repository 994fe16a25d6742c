"""What is printed is kept whole, tagged, bounded, and at hand."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rondo.base.errors import NoSpace
from rondo.worker.output import LogFile, Output

_PREFIX = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} site-1 \| ", re.MULTILINE)


def _said(path: Path) -> bytes:
    return _PREFIX.sub(b"", path.read_bytes())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\x00", b"\n")), max_size=12).map(
        lambda c: [x for x in c if x]
    )
)
def test_every_byte_is_kept_and_every_line_is_tagged_once(tmp_path: Path, chunks: list[bytes]) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    log = LogFile(path, "site-1", 1 << 20)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    whole = b"".join(chunks)
    lines = whole.count(b"\n") + (0 if whole.endswith(b"\n") or not whole else 1)
    assert len(re.findall(rb"\d{3} site-1 \| ", path.read_bytes())) == lines
    assert re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} site-1 \| ", b"", path.read_bytes()) == whole


def test_a_full_log_is_kept_once_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    path, older = tmp_path / "log", tmp_path / "log.1"
    log = LogFile(path, "site-1", 1000)
    for number in range(100):
        log.write(b"line %03d\n" % number)
        assert path.stat().st_size < 1000 + 200
    log.close()
    assert older.stat().st_size < 1000 + 200
    said = _said(older) + _said(path)
    note = re.search(rb"\[rondo\] (\d+) bytes of older output were dropped\n", said)
    assert note is not None and 1000 <= int(note[1]) < 1200
    kept = re.findall(rb"line (\d+)", said)
    assert kept == [b"%03d" % number for number in range(100 - len(kept), 100)]


def test_the_first_full_log_drops_nothing(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", "site-1", 100)
    for number in range(4):
        log.write(b"line %d\n" % number)
    log.close()
    assert _said(tmp_path / "log.1") + _said(tmp_path / "log") == b"line 0\nline 1\nline 2\nline 3\n"


def test_a_log_goes_on(tmp_path: Path) -> None:
    for text in (b"a\n", b"b\n"):
        log = LogFile(tmp_path / "deep" / "log", "site-1", 1000)
        log.write(text)
        log.close()
    assert _said(tmp_path / "deep" / "log") == b"a\nb\n"


def test_a_full_disk_loses_output_and_says_how_much() -> None:
    """/dev/full takes nothing: as a disk without room would."""
    log = LogFile(Path("/dev/full"), "site-1", 1 << 20)
    log.write(b"hello\n")
    log.write(b"world\n")
    log.close()


def test_output_lost_to_a_full_disk_is_told_when_there_is_room(tmp_path: Path) -> None:
    link = tmp_path / "log"
    link.symlink_to("/dev/full")
    log = LogFile(link, "site-1", 0)  # at its limit: it moves aside before each write
    log.write(b"kept\n")
    log.close()
    assert _said(link) == b"kept\n" and (tmp_path / "log.1").is_symlink()


def test_a_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="cannot write the worker's log"):
        LogFile(Path("/proc/nowhere/log"), "site-1", 1)


async def test_the_last_lines_are_at_hand_and_short(tmp_path: Path) -> None:
    output, prints = _output(tmp_path)
    for number in range(100):
        os.write(prints, b"line %d\n" % number)
    await output.catch_up()
    lines = output.last_lines().splitlines()
    assert lines == [f"line {number}" for number in range(60, 100)]
    os.write(prints, b"x" * 60_000 + b"\xff end")
    await output.catch_up()
    assert len(output.last_lines()) == 400 and output.last_lines().endswith("x\N{REPLACEMENT CHARACTER} end")
    os.close(prints)
    await output.finish()


async def test_what_is_in_the_pipe_when_the_writer_dies_is_kept(tmp_path: Path) -> None:
    output, prints = _output(tmp_path)
    os.write(prints, b"y" * 60_000)
    os.close(prints)
    await output.finish()
    assert _said(tmp_path / "log") == b"y" * 60_000
    await output.finish()


async def test_lines_are_offered_whole_and_what_is_not_is_counted(tmp_path: Path) -> None:
    shown: list[str] = []
    output, prints = _output(tmp_path, shown.append)
    os.write(prints, b"first ")
    await output.catch_up()
    os.write(prints, b"line\r\nsecond\n" + b"z" * 1000 + b"\n")
    await output.catch_up()
    os.write(prints, b"".join(b"%d\n" % number for number in range(1000)))
    await output.catch_up()
    await asyncio.sleep(0)
    assert shown[:3] == ["first line", "second", "z" * 400]
    assert shown[3:] == [str(number) for number in range(47)]
    os.close(prints)
    await output.finish()
    assert _said(tmp_path / "log").endswith(b"999\n")


def _output(tmp_path: Path, on_line: Callable[[str], None] | None = None) -> tuple[Output, int]:
    printed, prints = os.pipe()
    return Output(printed, LogFile(tmp_path / "log", "site-1", 1 << 20), on_line), prints
