"""The shell-type commands and sys_info, as they are typed (spec 7.2)."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, NotFound, Refused, RondoError
from rondo.base.showing import MOST
from rondo.commands import seam
from rondo.commands.rows import Facts, Problem, Row, Table, Text, facts
from tests.commands.desks import MemoryDesk, problems, texts, typed

FILE_COMMANDS = ("cat {}", "head {}", "tail {}", "grep {} one")
SITES = ("server", "site-1")


@pytest.fixture
def desk(tmp_path: Path) -> MemoryDesk:
    made = MemoryDesk(folder=tmp_path)
    made.add_client("site-1")
    made.add_client("site-2")
    (tmp_path / "run_1").mkdir()
    (tmp_path / "log.txt").write_text("".join(f"line {number}\n" for number in range(20)))
    (tmp_path / "run_1/a.json").write_text("{}\n")
    (tmp_path / "server.key").write_text("secret")
    (tmp_path / "seats").mkdir()
    (tmp_path / "seats/0.json").write_text("secret")
    (tmp_path / ".hidden.txt").touch()
    return made


def refused(desk: MemoryDesk, line: str) -> RondoError:
    with pytest.raises(RondoError) as caught:
        typed(desk, line)
    return caught.value


@pytest.mark.parametrize("site", SITES)
def test_files_are_shown(desk: MemoryDesk, site: str) -> None:
    lines = [f"line {number}" for number in range(20)]
    assert texts(typed(desk, f"cat {site} log.txt")) == ["\n".join(lines)]
    assert texts(typed(desk, f"cat {site} -n log.txt"))[0].startswith("     1\tline 0\n     2\tline 1\n")
    assert texts(typed(desk, f"head {site} log.txt")) == ["\n".join(lines[:10])]
    assert texts(typed(desk, f"head {site} -n 2 log.txt")) == ["line 0\nline 1"]
    assert texts(typed(desk, f"head {site} -c 6 log.txt")) == ["line 0"]
    assert texts(typed(desk, f"tail {site} log.txt")) == ["\n".join(lines[10:])]
    assert texts(typed(desk, f"tail {site} -n 1 log.txt")) == ["line 19"]
    assert texts(typed(desk, f"tail {site} log.txt -c 3")) == ["19"]
    assert texts(typed(desk, f"grep {site} '1[89]$' log.txt")) == ["line 18\nline 19"]
    assert texts(typed(desk, f"grep {site} -nib LINE.2$ log.txt")) == ["3:14:line 2"]
    assert texts(typed(desk, f"grep {site} nothing log.txt")) == []


def test_files_and_folders_are_listed(desk: MemoryDesk, tmp_path: Path) -> None:
    def ls(words: str = "") -> list[str]:
        return "\n".join(texts(typed(desk, f"ls server {words}"))).split("\n")

    names = ["log.txt", "run_1", "seats", "server.key"]
    assert ls() == names and ls("-a") == [".hidden.txt", *names]
    assert ls("run_1") == ["a.json"] and ls("log.txt run_1") == ["log.txt", "", "run_1:", "a.json"]
    assert ls("-R") == [".:", *names, "", "run_1:", "a.json"]
    (tmp_path / "log.txt").chmod(0o644)
    os.utime(tmp_path / "server.key", (5e9, 1e9))
    os.utime(tmp_path / "log.txt", (4e9, 2e9))
    for folder in ("run_1", "seats"):
        os.utime(tmp_path / folder, (1e9, 1e9))
    assert ls("-t")[0] == "log.txt" and ls("-tu")[0] == "server.key"
    (tmp_path / "large.txt").write_bytes(b"x" * 100_000)
    assert ls("-S")[0] == "large.txt"
    assert "-rw-r--r--          150 2033-05-18 03:33:20 log.txt" in ls("-l")
    assert "-rw-r--r--          150 2096-10-02 07:06:40 log.txt" in ls("-lu")


@pytest.mark.parametrize("command", FILE_COMMANDS)
@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("/etc/log.txt", BadInput, "absolute path is not allowed"),
        ("../log.txt", BadInput, ".. in path name is not allowed"),
        ("'log txt'", BadInput, "unsupported file log txt"),
        ("server.key", BadInput, "unsupported file server.key"),
        ("seats/0.json", Refused, "seats is not shown"),
        ("nothing.txt", NotFound, "no such file: nothing.txt"),
    ],
)
def test_what_is_not_shown_is_refused(
    desk: MemoryDesk, command: str, file: str, kind: type[RondoError], said: str
) -> None:
    error = refused(desk, f"{command.format('server')} {file}")
    assert type(error) is kind and error.what == said
    if kind is not NotFound:  # said before the client is asked, who may be away
        desk.silent.add("site-1")
        assert refused(desk, f"{command.format('site-1')} {file}").what == said
    else:
        ((site, what, code),) = problems(typed(desk, f"{command.format('site-1')} {file}"))
        assert (site, code) == ("site-1", "NotFound") and what.startswith(said)


@pytest.mark.parametrize("command", [*FILE_COMMANDS, "ls {}"])
def test_a_site_trusts_no_server(desk: MemoryDesk, tmp_path: Path, command: str) -> None:
    """What would be refused where it is typed is refused at the site as well."""
    name, *words = seam.split(command.format("server"))
    module = seam.find(name)

    async def ask(file: str) -> list[Row]:
        options = seam.unpack(module, seam.pack(seam.parse(module, [*words, file])))
        return [row async for row in desk.visit("site-1", name, options)]

    for file in ("../log.txt", "seats/0.json", "/etc/hosts.txt", *(() if name == "ls" else ("server.key",))):
        with pytest.raises((BadInput, Refused)):
            asyncio.run(ask(file))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cat server", "syntax error: missing file"),
        ("cat", "missing target type (server or client)"),
        ("cat server a.txt b.txt", "syntax error: too many arguments: b.txt"),
        ("grep server a.txt", "syntax error: missing file"),
        ("pwd server x", "syntax error: too many arguments: x"),
        ("env server x", "syntax error: too many arguments: x"),
        ("head server -n x log.txt", "syntax error: Expected `int`"),
        ("head server -n -1 log.txt", "syntax error: Expected `int` >= 0"),
        ("tail server -x log.txt", "syntax error: unknown option -x"),
        ("grep server (a log.txt", "pattern: a ( that is not closed"),
        ("ls server /", "absolute path is not allowed"),
        ("ls server ../x", ".. in path name is not allowed"),
        ("ls server seats", "seats is not shown"),
    ],
)
def test_a_wrong_line_is_told(desk: MemoryDesk, line: str, said: str) -> None:
    assert said in refused(desk, line).what


def test_pwd_and_env_tell_of_the_site(desk: MemoryDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_TOKEN", "hunter2")
    for site in SITES:
        assert texts(typed(desk, f"pwd {site}")) == [str(tmp_path)]
        (text,) = texts(typed(desk, f"env {site}"))
        assert "SITE_TOKEN=********" in text.split("\n") and f"PATH={os.environ['PATH']}" in text.split("\n")


def test_a_site_that_does_not_answer_is_told(desk: MemoryDesk) -> None:
    desk.silent.add("site-1")
    silent = ("site-1", "No replies (the command was withdrawn)", "Unreachable")
    for line in ("ls site-1", "cat site-1 log.txt", "pwd site-1", "env site-1", "tail site-1 -f log.txt"):
        assert typed(desk, line) == [Problem(silent[1], site=silent[0], code=silent[2])]
    rows = typed(desk, "sys_info client")
    assert problems(rows) == [silent] and list(facts(rows)["sites"]) == ["site-2"]


def test_the_machine_is_told_in_claras_table(desk: MemoryDesk) -> None:
    rows = typed(desk, "sys_info all")
    heads = [row.text for row in rows if isinstance(row, Text)]
    assert heads == ["instance:server", "instance:site-1", "instance:site-2"]
    tables = [row for row in rows if isinstance(row, Table)]
    assert [table.head for table in tables] == [["METRICS", "VALUE"]] * 3
    names = [str(name) for name, _ in tables[0].rows]
    assert names[:12] == [
        "total", "available", "percent", "used", "free", "active", "inactive", "buffers", "cached", "shared", "slab",
        "gpu_count",
    ]  # fmt: skip
    values = facts(rows)["sites"]["site-1"]
    cards = [f"gpu_device_{number}" for number in range(values["gpu_count"])]
    assert names[12:] == [*cards, "availabe_percent"] and 0 < values["availabe_percent"] <= 100


def test_tail_goes_on_with_what_is_added(desk: MemoryDesk, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    module = seam.find("tail")

    async def followed(*words: str) -> tuple[list[str], str]:
        shown, place = [], ""
        async with aclosing(module.run(desk, seam.parse(module, ["site-1", *words, "log.txt"]))) as rows:
            async for row in rows:
                if isinstance(row, Facts):
                    place = row.values["place"]
                    with log.open("a") as file:
                        file.write(f"added {len(shown)}\n")
                elif isinstance(row, Text):
                    shown.append(row.text)
                if len(shown) == 3:
                    break
        return shown, place

    shown, place = asyncio.run(followed("-f", "-n", "1"))
    assert shown == ["line 19", "added 1", "added 2"]
    shown, _ = asyncio.run(followed("-f", "-p", place))
    assert shown[0] == "added 2", "nothing is lost, and nothing is told twice"


def test_a_look_without_news_ends_well_before_the_timeout(desk: MemoryDesk) -> None:
    """Or a client where nothing is written would be taken for a silent one."""
    desk.timeout = 0.02
    module = seam.find("tail")

    async def looks() -> None:
        async with asyncio.timeout(10), aclosing(module.run(desk, seam.parse(module, ["a", "-f", "log.txt"]))) as rows:
            left = 6
            async for row in rows:
                left -= isinstance(row, Facts)
                if not left:
                    return

    asyncio.run(looks())


def test_tail_ends_with_the_file(desk: MemoryDesk, tmp_path: Path) -> None:
    module = seam.find("tail")

    async def followed() -> list[Row]:
        found = []
        async for row in module.run(desk, seam.parse(module, ["site-1", "-f", "log.txt"])):
            found.append(row)
            (tmp_path / "log.txt").unlink(missing_ok=True)
        return found

    assert [type(row) for row in asyncio.run(followed())] == [Text, Facts, Problem]


def test_what_is_too_much_is_cut_and_said(desk: MemoryDesk, tmp_path: Path) -> None:
    (tmp_path / "large.log").write_bytes(b"x" * 99 + b"\n" + b"y\n" * MOST)
    assert texts(typed(desk, "cat site-1 large.log"))[-1].startswith("(cut: the file has ")
    assert texts(typed(desk, "tail site-1 -n 9999999 large.log"))[0].startswith("(cut: ")
    (tmp_path / "long.log").write_bytes(b"x" * 99 + b"\n" + b"y\n" * 1000)  # what takes long is cut, too
    assert texts(typed(desk, "grep site-1 x long.log")) == ["x" * 99]
