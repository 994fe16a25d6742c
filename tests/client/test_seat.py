"""Seats: several clients from one workspace (C6), and the same client again after kill -9."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rondo.base.errors import NoSpace
from rondo.client.seat import Seat, Taken, site_secret, take_seat

# Takes a seat, says which and what it remembers, remembers what it is told, and sits there until it is killed.
_SITTER = """
import json, sys
from pathlib import Path
from rondo.client.seat import site_secret, take_seat

with take_seat(Path(sys.argv[1])) as seat:
    before = seat.taken and [seat.taken.instance, seat.taken.token]
    if sys.argv[2]:
        seat.remember(sys.argv[2], "token of " + sys.argv[2])
    print(json.dumps([seat.number, before, site_secret(Path(sys.argv[1]))]), flush=True)
    sys.stdin.read()
"""


@contextmanager
def sitter(workspace: Path, name: str = "") -> Iterator[tuple[int, list[str] | None, str]]:
    """A client process in its seat: seat number, what it found there, the site's secret. Killed -9 at the end."""
    command = [sys.executable, "-c", _SITTER, str(workspace), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            number, before, secret = json.loads(process.stdout.readline())
            yield number, before, secret
        finally:
            process.kill()


def test_faq_C6_processes_of_one_workspace_get_seats_of_their_own(tmp_path: Path) -> None:
    with ExitStack() as all_of_them:
        found = [all_of_them.enter_context(sitter(tmp_path, name)) for name in ("site", "site_1")]
        assert [(number, before) for number, before, _ in found] == [(0, None), (1, None)]
        assert len({secret for *_, secret in found}) == 1


def test_kill_9_frees_the_seat_and_keeps_what_it_remembers(tmp_path: Path) -> None:
    with sitter(tmp_path, "site_1"):
        with sitter(tmp_path, "site"):
            pass
        with sitter(tmp_path) as (number, before, _):
            assert (number, before) == (1, ["site", "token of site"])
    with sitter(tmp_path) as (number, before, _):
        assert (number, before) == (0, ["site_1", "token of site_1"])


def test_a_client_that_quits_leaves_an_empty_seat(tmp_path: Path) -> None:
    with take_seat(tmp_path) as seat:
        seat.remember("site", "token")
        seat.forget()
        assert seat.taken is None
    with take_seat(tmp_path) as seat:
        assert (seat.number, seat.taken) == (0, None)


def test_the_last_word_is_remembered(tmp_path: Path) -> None:
    with take_seat(tmp_path) as seat:
        for instance, token in (("site_100", "long token"), ("a", "b"), ("é 中", 'with "quotes"\n')):
            seat.remember(instance, token)
            with take_seat(tmp_path) as other:
                assert other.number == 1
    with take_seat(tmp_path) as seat:
        assert seat.taken == Taken("é 中", 'with "quotes"\n')


def test_a_kill_while_it_is_written_down_leaves_the_old_word_or_the_new(tmp_path: Path) -> None:
    """Killed where a shorter word was written over a longer one and the file not yet cut."""
    with take_seat(tmp_path) as seat:
        seat.remember("site_100", "a long token")
    script = _SITTER.replace("with take_seat", _KILL_BEFORE_CUTTING + "with take_seat", 1)
    command = [sys.executable, "-c", script, str(tmp_path), "a"]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    with take_seat(tmp_path) as seat:
        assert seat.taken == Taken("a", "token of a")


_KILL_BEFORE_CUTTING = """
import os
sys.addaudithook(lambda event, args: os.kill(os.getpid(), 9) if event == "os.truncate" else None)
"""


@pytest.mark.parametrize("wreck", [b"", b"{", b'{"instance": 1}\n', b"\xff\xfe\n", b"[]\n"])
def test_a_seat_that_cannot_be_read_is_an_empty_one(tmp_path: Path, wreck: bytes) -> None:
    with take_seat(tmp_path):
        (tmp_path / "seats" / "0.json").write_bytes(wreck)
    with take_seat(tmp_path) as seat:
        assert seat.taken is None
        seat.remember("site", "token")
    with take_seat(tmp_path) as seat:
        assert seat.taken == Taken("site", "token")


def test_tokens_and_the_secret_are_for_nobody_else(tmp_path: Path) -> None:
    with take_seat(tmp_path) as seat:
        seat.remember("site", "token")
        site_secret(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "seats").iterdir()}
    assert modes == {"0.json": 0o600, "secret": 0o600}
    assert stat.S_IMODE((tmp_path / "seats").stat().st_mode) == 0o700


def test_the_secret_is_made_once_for_all_processes_of_a_site(tmp_path: Path) -> None:
    first = site_secret(tmp_path)
    assert len(first) > 40 and site_secret(tmp_path) == first
    assert site_secret(tmp_path / "other") != first


# Another process makes the secret just before this one's would take its place.
_SECOND = """
import sys
from pathlib import Path
from rondo.client.seat import site_secret

secret = Path(sys.argv[1]) / "seats" / "secret"
def be_first(event, args):
    if event in ("os.link", "os.rename") and str(args[1]) == str(secret):
        secret.write_text("theirs")
sys.addaudithook(be_first)
print(site_secret(Path(sys.argv[1])))
"""


def test_of_two_processes_that_make_the_secret_the_first_makes_it_for_both(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SECOND, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "theirs"
    assert site_secret(tmp_path) == "theirs"


def test_a_seat_that_cannot_be_written_is_no_space() -> None:
    """The system's own file that is always full stands for the seat's."""
    full = os.open("/dev/full", os.O_RDWR)
    try:
        with pytest.raises(NoSpace, match="write down the session"):
            Seat(0, None, full, Path("seats/0.json")).remember("site", "token")
    finally:
        os.close(full)
