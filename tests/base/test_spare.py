"""A file that nobody needs becomes the next one, and never while anybody still sees it."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from rondo.base.spare import SPARE, drop_spares, give_up, open_anew

OLD = b"old" * 5000


def old(folder: Path) -> Path:
    path = folder / "old"
    path.write_bytes(OLD)
    return path


def made(path: Path, mode: int = 0o666) -> int:
    """The inode of a file that is opened anew."""
    descriptor = open_anew(path, mode)
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_given_up_becomes_the_next_one_of_its_folder(tmp_path: Path) -> None:
    inode = old(tmp_path).stat().st_ino
    give_up(tmp_path / "old")
    assert names(tmp_path) == [SPARE]
    assert made(tmp_path / "new", 0o600) == inode
    assert names(tmp_path) == ["new"]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert made(tmp_path / "another") != inode


def test_a_file_that_is_there_is_opened_as_it_is(tmp_path: Path) -> None:
    give_up(old(tmp_path))
    (tmp_path / "mine").write_bytes(b"mine")
    made(tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert names(tmp_path) == [SPARE, "mine"]


def mapped(path: Path) -> AbstractContextManager[object]:
    with path.open("rb") as file:
        return closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def linked(path: Path) -> AbstractContextManager[object]:
    os.link(path, path.with_name("shown"))
    return nullcontext()


@pytest.mark.parametrize("hold", [mapped, linked, lambda path: path.open("rb"), lambda path: path.open("r+b")])
def test_what_somebody_still_sees_is_left_alone(
    tmp_path: Path, hold: Callable[[Path], AbstractContextManager[object]]
) -> None:
    path = old(tmp_path)
    inode = path.stat().st_ino
    with hold(path):
        give_up(path)
        assert made(tmp_path / "new") != inode
    assert (tmp_path / "new").read_bytes() == b""
    assert (tmp_path / SPARE).read_bytes() == OLD


def test_a_spare_is_marked_before_it_has_its_name(tmp_path: Path) -> None:
    give_up(old(tmp_path))
    seen: list[list[str]] = []

    def mark(descriptor: int) -> None:
        seen.append(names(tmp_path))
        os.pwrite(descriptor, b"new", 0)

    os.close(open_anew(tmp_path / "new", mark=mark))
    assert seen == [[SPARE]]
    assert (tmp_path / "new").read_bytes() == b"new" + OLD[3:]


def test_a_spare_that_cannot_be_marked_is_not_taken(tmp_path: Path) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    give_up(old(tmp_path))
    os.close(open_anew(tmp_path / "new", mark=full))
    assert (tmp_path / "new").read_bytes() == b""


def test_there_is_one_spare_at_most_and_it_can_be_dropped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "below").mkdir(exist_ok=True)
        (tmp_path / "below" / name).write_bytes(name.encode())
        give_up(tmp_path / "below" / name)
    give_up(tmp_path / "nothing")
    assert names(tmp_path / "below") == [SPARE]
    assert (tmp_path / "below" / SPARE).read_bytes() == b"b"
    drop_spares(tmp_path)
    assert names(tmp_path / "below") == []


def test_a_second_name_of_the_spare_can_be_given_up(tmp_path: Path) -> None:
    """As after a kill between the new name and the removal of the old one."""
    give_up(old(tmp_path))
    os.link(tmp_path / SPARE, tmp_path / "new")
    give_up(tmp_path / "new")
    assert names(tmp_path) == [SPARE]


def test_a_file_for_another_folder_goes_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    give_up(old(tmp_path), tmp_path / "there")
    assert names(tmp_path) == ["there"] and names(tmp_path / "there") == [SPARE]
    give_up(old(tmp_path), tmp_path / "no such folder")
    assert names(tmp_path) == ["there"], "what cannot be kept is removed"
