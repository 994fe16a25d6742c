"""The file of an audit log: whatever befell it, the next line makes one chain with what is there."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rondo.base.chain import START, Entry, Link, entry, linked
from rondo.base.errors import NoSpace
from rondo.base.journal import LOG, Journal, examine, files, lines


def told(text: str = "x") -> Entry:
    return entry(1000.0, "a", "act", text)


def whole(workspace: Path, count: int) -> None:
    head, faults = examine(workspace)
    assert (head.number, faults) == (count, [])


def test_it_is_for_its_owner(tmp_path: Path) -> None:
    (tmp_path / LOG).touch(0o644)
    journal = Journal(tmp_path)
    journal.add([told()])
    journal.close()
    assert stat.S_IMODE((tmp_path / LOG).stat().st_mode) == 0o600
    assert len(list(lines(tmp_path))) == 1


def test_several_processes_make_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from rondo.base.journal import Journal; from tests.base.test_journal import told\n"
        "journal = Journal(Path(sys.argv[1]), most=20000)\n"
        "for number in range(200): journal.add([told(str(number))])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    whole(tmp_path, 600)
    assert len(files(tmp_path)) > 3


def test_a_torn_line_is_taken_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    links = journal.add([told(), told()])
    journal.close()
    with (tmp_path / LOG).open("ab") as file:
        file.write(linked(links[-1].head, told()).line.encode()[:-30])
    (_, faults) = examine(tmp_path)
    assert [(fault.where, fault.what[:22]) for fault in faults] == [("audit.log:3", "the line was cut short")]
    again = Journal(tmp_path)
    assert again.torn > 100 and again.head == links[-1].head
    again.add([told()])
    again.close()
    whole(tmp_path, 3)


@pytest.mark.parametrize("rubbish", [b"x" * 50_000, b"x" * 10])
def test_what_has_no_end_goes_as_well(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / LOG).write_bytes(rubbish)
    journal = Journal(tmp_path)
    assert (journal.torn, journal.head) == (len(rubbish), START)
    journal.add([told()])
    journal.close()
    whole(tmp_path, 1)


def test_a_foreign_line_stays_where_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([told(), told()])
    journal.close()
    with (tmp_path / LOG).open("ab") as file:
        file.write(b"hello\n")
    again = Journal(tmp_path)
    again.add([told()])
    again.close()
    head, faults = examine(tmp_path)
    assert head.number == 3
    assert [(fault.where, fault.event) for fault in faults] == [("audit.log:3", "")]


def test_a_full_file_is_put_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, most=1000)
    for number in range(40):
        journal.add([told(str(number))])
    journal.close()
    names = [path.name for path in files(tmp_path)]
    assert names == [*(f"{LOG}.{number}" for number in range(1, len(names))), LOG] and len(names) > 4
    whole(tmp_path, 40)
    os.unlink(tmp_path / LOG)  # whoever moves the newest one away does not make it begin anew
    again = Journal(tmp_path)
    assert 0 < again.head.number < 40
    again.close()
    os.unlink(tmp_path / f"{LOG}.2")
    (_, faults) = examine(tmp_path)
    assert faults[0].where == f"{LOG}.3:1" and "missing before entry" in faults[0].what


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process may be larger (setrlimit(2)): a write is cut short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_where_there_is_no_room_nothing_is_half_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([told()])
    size = (tmp_path / LOG).stat().st_size
    with files_end_at(size + 50), pytest.raises(NoSpace):
        journal.add([told()])
    assert (tmp_path / LOG).stat().st_size == size
    journal.add([told()])
    journal.close()
    whole(tmp_path, 2)


def test_a_copy_takes_links_as_they_are(tmp_path: Path) -> None:
    links: list[Link] = []
    for _ in range(3):
        links.append(linked(links[-1].head if links else START, told()))
    journal = Journal(tmp_path)
    journal.copy(links[:2])
    journal.copy([])
    journal.copy(links[2:])
    head, sync = journal.mark()
    sync()
    assert journal.head == links[2].head == head
    journal.close()
    whole(tmp_path, 3)
