"""Looking at a site with real processes over mutual TLS: each shell-type command, sys_info; a silent client (T8)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from rondo.base.errors import RondoError
from rondo.commands.rows import Problem, Row, Table, Text
from rondo.simulator.local import ADMIN, SERVER
from tests.real.gates import gated_job
from tests.real.world import LONG, World, world


async def rows(made: World, line: str, *words: str) -> list[Row]:
    name, *args = line.split()
    return [row async for row in made.session.rows(name, [*args, *words])]


async def shown(made: World, line: str, *words: str) -> str:
    return "\n".join(row.text for row in await rows(made, line, *words) if isinstance(row, Text))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


async def test_every_command_shows_the_server_and_a_client(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        made.let_look("a", "bb")
        for site in (SERVER, "a"):
            folder = made.workspaces[site]
            put(folder / "notes" / "log.txt", "".join(f"line {number} of {site}\n" for number in range(30)))
            (folder / "out.txt").symlink_to("../out.txt")
            (folder / "hosts.txt").symlink_to("/etc/hosts")
        put(tmp_path / "w" / "out.txt", "not of a workspace\n")
        for site, kept in ((SERVER, "ledger.db"), ("a", "seats")):
            lines = [f"line {number} of {site}" for number in range(30)]
            file = "notes/log.txt"
            assert await shown(made, f"cat {site} {file}") == "\n".join(lines)
            assert await shown(made, f"head {site} {file}") == "\n".join(lines[:10])
            assert await shown(made, f"tail {site} -n 3 {file}") == "\n".join(lines[-3:])
            assert await shown(made, f"tail {site} -c 2 {file}") == site[-1]
            assert await shown(made, f"grep {site} -n", "LINE (7|8) ", file, "-i") == f"8:{lines[7]}\n9:{lines[8]}"
            names = (await shown(made, f"ls {site}")).split("\n")
            assert {"startup", "notes", "out.txt", kept} <= set(names)
            assert await shown(made, f"ls {site} notes") == "log.txt"
            assert await shown(made, f"pwd {site}") == str(made.workspaces[site])
            assert "PATH=" in await shown(made, f"env {site}")
            for name, said in {
                "out.txt": "leads through a link", "hosts.txt": "leads through a link", "ledger.db": "unsupported file",
                "seats/0.json": "seats is not shown", "startup/client.key": "unsupported file",
                "../out.txt": ".. in path name is not allowed", "/etc/hosts.txt": "absolute path is not allowed",
            }.items():  # fmt: skip
                assert said in await refusal(made, f"cat {site} {name}")
        told = await rows(made, "sys_info all")
        assert [row.text for row in told if isinstance(row, Text)] == [
            f"instance:{site}" for site in (SERVER, "a", "bb")
        ]
        tables = [row for row in told if isinstance(row, Table)]
        assert [table.rows[0] for table in tables] == [["total", psutil.virtual_memory().total]] * 3


async def refusal(made: World, line: str) -> str:
    """How it is refused: as a whole, or by the client."""
    try:
        (found,) = await rows(made, line)
    except RondoError as error:
        return error.what
    assert isinstance(found, Problem)
    return found.error


class Console:
    """``rondo admin KIT -c COMMAND`` as a process, whose lines come one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(LONG):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LONG):
            await self.process.wait()


@asynccontextmanager
async def console(made: World, command: str) -> AsyncIterator[Console]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "rondo", "admin", str(made.workspaces[ADMIN]), "-c", command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Console(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("site", [SERVER, "a"])
async def test_tail_shows_what_is_written_after_it_began_until_it_is_ended(tmp_path: Path, site: str) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        made.let_look("a")
        log = made.workspaces[site] / "log.txt"
        put(log, "first\nsecond\n")
        async with console(made, f"tail {site} -f -n 1 log.txt") as following:
            assert await following.line() == "second"
            put(log, "third\nfour")
            assert await following.line() == "third"
            put(log, "th\nfifth\n")
            assert [await following.line(), await following.line()] == ["fourth", "fifth"]
            os.rename(log, log.with_name("log.1"))  # turned over
            put(log, "in the new file\n")
            assert await following.line() == "(log.txt was replaced or cut: from its beginning)"
            assert await following.line() == "in the new file"
            await following.interrupt()
        assert await shown(made, f"pwd {site}"), "everybody goes on"


async def test_a_client_that_is_silent_is_told_and_does_nothing_later(tmp_path: Path) -> None:
    """Stopped (SIGSTOP), so that its connection stands and the question lies before it when it wakes."""
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        made.let_look("a", "bb")
        job = gated_job(tmp_path / "study")
        numbers = ("set_run_number 2", "deploy study client", "set_run_number 1", "deploy study server")
        for line in (f"upload_folder {job}", *numbers, "set_timeout 4"):
            await rows(made, line)
        stopped = psutil.Process(made.pid("a"))
        silent = Problem("No replies (the command was withdrawn)", site="a", code="Unreachable")
        stopped.suspend()
        try:
            assert await rows(made, "shutdown client a") == [silent]
        finally:
            stopped.resume()
        assert await shown(made, "pwd a") == str(made.workspaces["a"]), "it has not left"
        stopped.suspend()
        try:
            # The first reaches it before it wakes.
            lines = ["delete_run_number 2", "deploy study client", "sys_info client", "cat a log.txt"]
            lines.append("tail a -f log.txt")
            deleted, deployed, told, *read = await asyncio.gather(*(rows(made, line) for line in lines))
            assert silent in deleted and silent in deployed and read == [[silent]] * 2
            assert [row for row in told if isinstance(row, Problem)] == [silent]
            assert [row.text for row in told if isinstance(row, Text)] == ["instance:bb"]
        finally:
            stopped.resume()
        await rows(made, "set_timeout 30")
        # It answers again, and what it was asked while it was stopped has not been done: only bb has the new job, and
        # no longer has the old one.
        assert await shown(made, "pwd a") == str(made.workspaces["a"])
        assert [path.name for path in made.workspaces["a"].glob("run_*/mmar_*")] == ["mmar_a"]
        assert await shown(made, "ls a run_2") == "mmar_a"
        assert await shown(made, "ls bb run_1") == "mmar_bb"
        assert "no such file: run_2" in await refusal(made, "ls bb run_2")
        put(made.workspaces["a"] / "log.txt", "late\n")
        assert await shown(made, "cat a log.txt") == "late"
