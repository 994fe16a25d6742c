"""A site's own log: what is told when, and what a full disk does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rondo.base.chain import Entry, Head, read_line
from rondo.base.clock import ManualClock
from rondo.base.errors import Conflict, NoSpace, SiteRefused
from rondo.base.journal import LOG, lines
from rondo.client.audit import TOGETHER, Asked, Diary, prove_site
from tests.base.test_journal import files_end_at

ADMIN = Asked("lead@hub.org", "11111111-2222-3333-4444-555555555555")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def diary(tmp_path: Path, clock: ManualClock) -> Iterator[Diary]:
    with closing(Diary(tmp_path, clock)) as opened:
        yield opened


def told(workspace: Path) -> list[Entry]:
    return [read_line(place.raw).entry for place in lines(workspace)]


def messages(workspace: Path) -> list[str]:
    return [one.message for one in told(workspace)]


def test_what_is_done_is_told_before_and_after(tmp_path: Path, diary: Diary) -> None:
    with diary.doing(ADMIN, "deploy", "job"):
        assert messages(tmp_path) == ["job: begun"]
    for error in (Conflict("busy"), SiteRefused("no")):
        with pytest.raises(type(error)), diary.doing(ADMIN, "deploy"):
            raise error
    with pytest.raises(asyncio.CancelledError), diary.doing(ADMIN, "deploy"):
        raise asyncio.CancelledError
    assert messages(tmp_path)[1:] == ["job: done", "begun", "failed: busy", "begun", "refused: no", "begun", "stopped"]
    assert {(one.user, one.ref) for one in told(tmp_path)} == {(ADMIN.user, ADMIN.event)}


def test_a_decision_of_the_policy_is_told_either_way(tmp_path: Path, diary: Diary) -> None:
    with diary.deciding(ADMIN, "package x"):
        pass
    with pytest.raises(SiteRefused), diary.deciding(ADMIN, "package y"):
        raise SiteRefused("not here")
    assert messages(tmp_path) == ["package x: allowed", "package y: refused: not here"]


async def test_what_comes_often_is_written_together(tmp_path: Path, diary: Diary, clock: ManualClock) -> None:
    for number in range(4):
        with diary.doing(ADMIN, "send", str(number), often=True):
            pass
    assert messages(tmp_path) == ["0"], "the first is written before it is done"
    clock.advance(TOGETHER)
    with diary.doing(ADMIN, "send", "4", often=True):
        assert messages(tmp_path) == ["0", "1", "2", "3", "4"]
    diary.often(ADMIN, "send", "5")
    with pytest.raises(Conflict), diary.doing(ADMIN, "send", "6", often=True):
        raise Conflict("late")
    assert messages(tmp_path)[5:] == ["5", "6", "6: failed: late"]


async def test_what_waits_is_written_without_more_to_tell(tmp_path: Path, clock: ManualClock) -> None:
    with closing(Diary(tmp_path, clock)) as diary:
        diary.often(ADMIN, "send", "0")
        diary.often(ADMIN, "send", "1")
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(TOGETHER * 1.01, later.set)  # after the diary's own timer
        await later.wait()
        assert messages(tmp_path) == ["0", "1"]
        diary.often(ADMIN, "send", "2")
        head = await diary.head()
        diary.often(ADMIN, "send", "3")
    assert messages(tmp_path) == ["0", "1", "2", "3"]
    assert head.startswith("3-") and prove_site(tmp_path, Head.of(head))[1] == []


def test_a_site_that_cannot_write_its_log_begins_nothing(tmp_path: Path, diary: Diary) -> None:
    diary.tell(ADMIN, "first")
    with files_end_at((tmp_path / LOG).stat().st_size):
        with pytest.raises(NoSpace), diary.doing(ADMIN, "deploy"):
            raise AssertionError("it was begun")
        diary.note(ADMIN, "recall")  # what stops, stops all the same
    diary.tell(ADMIN, "last")
    assert [one.action for one in told(tmp_path)] == ["first", "last"]


async def test_what_could_not_be_written_holds_up_what_comes_after(
    tmp_path: Path, diary: Diary, clock: ManualClock
) -> None:
    diary.often(ADMIN, "send", "0")
    diary.often(ADMIN, "send", "1")
    with files_end_at((tmp_path / LOG).stat().st_size):
        clock.advance(TOGETHER)
        with pytest.raises(NoSpace):
            diary.often(ADMIN, "send", "2")
        assert messages(tmp_path) == ["0"]
    diary.tell(ADMIN, "send", "3")
    assert messages(tmp_path) == ["0", "1", "3"]


def test_a_torn_line_is_told_of(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b"[E:torn")
    Diary(tmp_path).close()
    assert [(one.user, one.action) for one in told(tmp_path)] == [("client", "repaired")]


def test_a_head_that_was_told_has_to_be_there(tmp_path: Path, diary: Diary) -> None:
    for number in range(3):
        diary.tell(ADMIN, "act", str(number))
    heads = [read_line(place.raw).head for place in lines(tmp_path)]
    assert prove_site(tmp_path, heads[1]) == (heads[2], [])
    (fault,) = prove_site(tmp_path, Head(2, "0" * 64))[1]
    assert fault.where == f"{LOG}:2" and "not the one that was told to the server" in fault.what
    (fault,) = prove_site(tmp_path, Head(4, "0" * 64))[1]
    assert (fault.where, fault.event) == ("the end", "")
