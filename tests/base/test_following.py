"""A file is followed as it grows: every whole line once, in order, whatever is done to the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rondo.base.errors import NotFound, Refused
from rondo.base.following import begin, follow, watched

LONG = 60.0  # seconds: longer than any of these tests takes


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def put(path: Path, text: str) -> None:
    path.write_text(text)


def move(path: Path) -> None:
    """As one that turns logs over does."""
    path.rename(path.with_name("log.1"))


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text("one\ntwo\nthr")
    return path


async def test_what_is_there_already_is_told_at_once(log: Path) -> None:
    texts, place = begin(log.parent, "log.txt", 1, None)
    assert texts == ["two"]
    append(log, "ee\nfour\n")
    texts, place = await follow(log.parent, "log.txt", place, LONG)
    assert texts == ["three\nfour"]
    assert begin(log.parent, "log.txt", 0, None) == ([], place)


async def test_what_is_written_wakes_whoever_waits(log: Path) -> None:
    """Told by the kernel: the patience is far longer than the test may take."""
    _, place = begin(log.parent, "log.txt", 0, None)
    waiting = asyncio.create_task(follow(log.parent, "log.txt", place, LONG))
    await asyncio.sleep(0)
    append(log, "ee\n")
    async with asyncio.timeout(LONG / 2):
        texts, _ = await waiting
    assert texts == ["three"]


async def test_without_news_a_look_ends_and_the_place_stays(log: Path) -> None:
    _, place = begin(log.parent, "log.txt", 0, None)
    assert await follow(log.parent, "log.txt", place, 0.01) == ([], place)
    append(log, "e, not whole")
    assert await follow(log.parent, "log.txt", place, 0.01) == ([], place)


async def test_a_file_that_is_cut_or_replaced_is_shown_from_its_beginning(log: Path) -> None:
    said = "(log.txt was replaced or cut: from its beginning)"
    _, place = begin(log.parent, "log.txt", 0, None)
    put(log, "new\n")
    texts, place = await follow(log.parent, "log.txt", place, LONG)
    assert texts == [said, "new"]
    move(log)
    put(log, "a new file that is longer than the old one was\n")
    texts, place = await follow(log.parent, "log.txt", place, LONG)
    assert texts == [said, "a new file that is longer than the old one was"]
    texts, _ = await follow(log.parent, "log.txt", "no place", LONG)
    assert texts[0] == said


async def test_a_log_that_is_turned_over_has_no_name_for_a_moment(log: Path) -> None:
    _, place = begin(log.parent, "log.txt", 0, None)
    move(log)
    waiting = asyncio.create_task(follow(log.parent, "log.txt", place, LONG))
    await asyncio.sleep(0)
    put(log, "new\n")
    assert (await waiting)[0][-1] == "new"
    remove(log)
    with pytest.raises(NotFound):
        await follow(log.parent, "log.txt", place, LONG)


async def test_a_link_in_the_place_of_the_file_is_not_followed(log: Path) -> None:
    _, place = begin(log.parent, "log.txt", 0, None)
    link(log)
    with pytest.raises(Refused):
        await follow(log.parent, "log.txt", place, LONG)


@pytest.mark.parametrize("change", [lambda log: append(log, "x"), move, remove])
async def test_the_watch_sees_writing_renaming_and_removing(log: Path, change: Callable[[Path], None]) -> None:
    with log.open("rb") as file, watched(file.fileno()) as changed:
        assert not changed.is_set()
        change(log)
        async with asyncio.timeout(LONG):
            await changed.wait()
