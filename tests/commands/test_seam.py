"""From a typed line to a command's options, and whom a command is for (spec 7.1)."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

import msgspec
import pytest

from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options
from rondo.commands import rows, seam
from rondo.commands.rows import Facts, Problem, Row, Table, Text
from rondo.commands.seam import Target
from tests.commands.desks import MemoryDesk


@pytest.fixture
def desk() -> MemoryDesk:
    made = MemoryDesk()
    for name in ("b", "a", "a_1"):
        made.add_client(name)
    return made


def parsed(line: str) -> object:
    name, *args = seam.split(line)
    return seam.parse(seam.find(name), args)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("upload_app", "upload_folder"), ("deploy_app", "deploy"), ("start_app", "start"), ("abort_app", "abort")],
)
def test_later_spellings_mean_the_same_command(alias: str, name: str) -> None:
    assert seam.find(alias) is seam.find(name)


@pytest.mark.parametrize("name", ["check_stats", "seam", "rows", "", "os", "../abort", "Abort"])
def test_what_is_no_command_is_told_as_clara_tells_it(name: str) -> None:
    with pytest.raises(NotFound, match=f"Undefined server command {name}"):
        seam.find(name)
    with pytest.raises(NotFound, match="did you mean 'check_status'"):
        seam.find("check_stats")


def test_words_may_be_quoted() -> None:
    assert seam.split("deploy 'my job' client \"a b\"") == ["deploy", "my job", "client", "a b"]
    with pytest.raises(BadInput, match="cannot read the line: No closing quotation"):
        seam.split("deploy 'my job")


def test_arguments_come_in_the_order_of_the_options() -> None:
    assert parsed("deploy job client a b") == seam.find("deploy").Options(
        folder="job", target="client", names=("a", "b")
    )
    assert parsed("abort_run 12").run_id == 12  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set_run_number", "syntax error: missing run number (usage: set_run_number RUN_NUMBER)"),
        ("check_status", "missing target type (server or client) (usage: check_status TARGET [NAMES...])"),
        ("deploy", "syntax error: missing folder (usage: deploy FOLDER TARGET [NAMES...])"),
        ("deploy job", "missing target type (server or client) (usage: deploy FOLDER TARGET [NAMES...])"),
        ("list_runs x y", "syntax error: too many arguments: x y (usage: list_runs)"),
        ("abort_run 1 2", "syntax error: too many arguments: 2 (usage: abort_run RUN_ID)"),
    ],
)
def test_a_wrong_line_is_told_with_the_usage(line: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(line)
    assert str(caught.value) == said


@pytest.mark.parametrize("word", ["x", "", "1.5", "0", "-1", str(2**31), "9" * 40, "9" * 5000])
def test_a_run_is_meant_by_a_number_that_the_ledger_can_hold(word: str) -> None:
    with pytest.raises(BadInput, match=r"^abort_run: syntax error: "):
        seam.parse(seam.find("abort_run"), [word])


@pytest.mark.parametrize(("path", "name"), [("job", "job"), ("job/", "job"), ("../../x/job//", "job"), ("/a/b", "b")])
def test_a_folder_is_staged_under_its_last_name(path: str, name: str) -> None:
    assert seam.folder_name(path) == name


# ---- targets ------------------------------------------------------------------------------------------------------


def chosen(desk: MemoryDesk, *names: str) -> list[str]:
    return asyncio.run(seam.choose(desk, names))


def test_no_name_means_all_clients(desk: MemoryDesk) -> None:
    assert chosen(desk) == ["a", "a_1", "b"]


def test_instances_are_meant_by_their_own_names_each_once(desk: MemoryDesk) -> None:
    assert chosen(desk, "b", "a_1", "b") == ["b", "a_1"]


def test_unknown_clients_are_named_and_nobody_is_touched(desk: MemoryDesk) -> None:
    with pytest.raises(NotFound, match=r"invalid client\(s\): x y \(known: a, a_1, b\)"):
        chosen(desk, "a", "x", "y")


def test_without_clients_there_are_none_to_choose() -> None:
    with pytest.raises(NotFound, match="no clients available"):
        chosen(MemoryDesk())


@pytest.mark.parametrize(
    ("line", "sites"),
    [
        ("server", ["server"]),
        ("client", ["a", "a_1", "b"]),
        ("client b a", ["b", "a"]),
        ("all", ["server", "a", "a_1", "b"]),
    ],
)
def test_what_a_target_means(desk: MemoryDesk, line: str, sites: list[str]) -> None:
    options = parsed(f"check_status {line}")
    assert asyncio.run(seam.meant(desk, options)) == sites  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["Server", "clients", ""])
def test_a_target_is_the_server_or_clients(desk: MemoryDesk, word: str) -> None:
    with pytest.raises(BadInput, match=f"unknown target type {word}"):
        asyncio.run(seam.meant(desk, Target(target=word)))
    with pytest.raises(BadInput, match="too many arguments: a b"):
        asyncio.run(seam.meant(desk, Target(target="server", names=("a", "b"))))


def test_who_logs_in_later_is_not_reached(desk: MemoryDesk) -> None:
    """The sites are spelled out before rights are looked at."""
    options, sites = asyncio.run(seam.reached(desk, seam.find("abort"), Target(target="all")))
    desk.add_client("late")
    assert sites == ["server", "a", "a_1", "b"] == asyncio.run(seam.meant(desk, options))  # type: ignore[arg-type]
    options, sites = asyncio.run(seam.reached(MemoryDesk(), seam.find("abort"), Target(target="all")))
    assert sites == ["server"] == asyncio.run(seam.meant(desk, options))  # type: ignore[arg-type]


# ---- flags --------------------------------------------------------------------------------------------------------


class Flagged(Options, frozen=True):
    target: str
    every: bool = msgspec.field(default=False, name="-a")
    long: bool = msgspec.field(default=False, name="-l")
    lines: int = msgspec.field(default=10, name="-n")
    files: tuple[str, ...] = ()


class flagged(ModuleType):
    __name__ = "flagged"
    Options = Flagged


def flags(line: str) -> Options:
    return seam.parse(flagged("flagged"), seam.split(line))


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("server", Flagged(target="server")),
        ("server -al x", Flagged(target="server", every=True, long=True, files=("x",))),
        ("-n 3 server x -l y", Flagged(target="server", lines=3, long=True, files=("x", "y"))),
        ("server -- -a", Flagged(target="server", files=("-a",))),
        ("server -", Flagged(target="server", files=("-",))),
    ],
)
def test_a_flag_comes_anywhere(line: str, options: Options) -> None:
    assert flags(line) == options
    assert seam.unpack(flagged("flagged"), seam.pack(options)) == options


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("server -x", "unknown option -x"),
        ("server -n", "-n needs a value"),
        ("server -n x", "Expected `int`"),
        ("-an 3 server", "unknown option -an"),
    ],
)
def test_a_wrong_flag_is_told_with_the_usage(line: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        flags(line)
    assert caught.value.hint == "usage: flagged TARGET [-a] [-l] [-n LINES] [FILES...]"


# ---- rows ---------------------------------------------------------------------------------------------------------

ROWS: list[Row] = [
    Text("line", "a"), Table(["A", "B"], [["x", 1], [None, 2.5], [True, "é"]]), Problem("no", "b", "Conflict"),
    Facts({"runs": [{"id": 1, "error": None}], "text": "x"}),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_a_row_travels_unchanged(row: Row) -> None:
    assert rows.decode(rows.encode(row)) == row


def test_a_line_that_nobody_types_is_refused_at_once() -> None:
    """A million words would hold a server up that looked at them one by one."""
    for words in (["x"] * 1_000_000, ["client", "x" * (1 << 18)]):
        with pytest.raises(BadInput, match="more than 10000 words, or 262144 letters"):
            seam.parse(seam.find("check_status"), words)
    with pytest.raises(BadInput, match="more than 262144 letters"):
        seam.split("x" * (1 << 19))
    parsed: Any = seam.parse(seam.find("check_status"), ["client", *(f"site-{n}" for n in range(9_999))])
    assert len(parsed.names) == 9_999, "the names of thousands of clients are no nonsense"
