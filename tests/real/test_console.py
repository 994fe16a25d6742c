"""The console as a person has it: the real program in a pseudo-terminal, a real server, real clients."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import stat
import sys
from pathlib import Path

from rondo.base.clock import SystemClock
from rondo.simulator.local import ADMIN, SERVER, Layout, make_kits
from tests.net.proxy import ConnectProxy, Way
from tests.ports import free_port
from tests.real.gates import gated_job, gates
from tests.real.line import MIB, through
from tests.real.screen import CTRL_C, CTRL_D, ENTER, TAB, UP, Screen, console
from tests.real.world import World, world

DONE = r"Done \[\d+ usecs\] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
BACKGROUND = "It goes on while you go on; its end is told here, and `cancel 1` stops it."
WELCOME = 'Type ? to list commands; type "? cmdName" to show usage of a command.'


async def server_says(at: Screen, line: str) -> list[str]:
    """What a server's command answers; that it ends as Clara's do is seen."""
    *answer, last = await at.says(line)
    assert re.fullmatch(DONE, last), [*answer, last]
    return answer


async def moved(at: Screen, line: str) -> list[str]:
    """What a command that moves files answers, whether or not it was quick enough to be waited for."""
    answer = await at.says(line)
    if not re.fullmatch(DONE, answer[-1]):
        assert answer[-1].startswith("It goes on while you go on"), answer
        await at.until(lambda: re.fullmatch(f"{DONE}\n>", "\n".join(at.rows[-2:])) is not None, f"ended {line!r}")
        answer = at.rows[at.rows.index(f"{line}:") + 1 : -1]
    return answer[:-1]


async def test_a_person_logs_in_looks_around_and_leaves(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        kit = made.workspaces[ADMIN]
        async with console(kit, cwd=tmp_path) as at:
            await at.prompted("User Name:")
            wrong = await at.answers("somebody@else.org" + ENTER, "User Name:")
            assert wrong == ["Incorrect user name or certificate"]
            assert await at.answers(ADMIN + ENTER) == [WELCOME]
            assert at.rows[0] == f"Admin Server: localhost on port {made.admin_kit.admin_port}"

            listed = await at.says("?")
            server = listed.index("Server Commands")
            assert listed[0] == "Client Commands" and listed == await at.says("help")
            assert re.fullmatch(r"\| SCOPE +\| COMMAND +\| DESCRIPTION +\|", listed[2])
            assert any(re.match(r"\| file_transfer \| upload_folder +\| ", row) for row in listed[:server])
            assert any(re.match(r"\| training +\| deploy +\| ", row) for row in listed[server:])
            told = ["Command: sys.shutdown", "Usage: shutdown TARGET [NAMES...]"]
            assert [row for row in await at.says("? shutdown") if row.startswith(("Command", "Usage"))] == told
            assert (await at.says("?shutdown"))[0] == (await at.says("help sys.shutdown"))[0] == told[0]

            assert (await at.says("chek_status server"))[0].startswith("Error: Undefined server command chek_status")
            assert (await at.says("check_status nobody"))[0].startswith("Error: unknown target type nobody")
            assert (await at.says("deploy nothing server"))[0].startswith("Error: no such folder: nothing")
            assert await at.says("") == [] and await at.says("lpwd") == [str(tmp_path)]

            shown = await server_says(at, "check_status server >here.txt")
            assert shown[2] == "Registered clients: 2" and len(shown) == 9
            kept = (tmp_path / "here.txt").read_text().splitlines()
            assert [line.rstrip() for line in kept[:-1]] == shown and re.fullmatch(DONE, kept[-1])
            assert await at.says("check_status server >>here.txt") == []
            assert len((tmp_path / "here.txt").read_text().splitlines()) == 2 * len(kept)
            assert (await at.says("lpwd >a >b"))[0].startswith("Error: syntax error: only one redirection")
            assert (await at.says("lpwd > a"))[0].startswith("Error: syntax error: no file name behind >")

            # Nothing is sent before somebody is sure.
            sure = await at.answers("shutdown client a" + ENTER, "Are you sure (Y/N):")
            assert sure == [] and await at.answers("n" + ENTER) == []
            await at.answers("shutdown client a" + ENTER, "Are you sure (Y/N):")
            assert await at.answers(CTRL_C) == []
            assert any(row.startswith("| a ") for row in await server_says(at, "check_status server"))

            # A command that does not end by itself ends with Ctrl-C.
            made.let_look("a")
            (made.workspaces["a"] / "log.txt").write_text("the only line\n")
            at.press("tail a -f log.txt" + ENTER)
            await at.sees("the only line")
            assert "Interrupted" in await at.answers(CTRL_C)

            # What has been typed goes away with Ctrl-C; what was done comes back with the arrow.
            at.press("abort server")
            await at.sees("> abort server", rows=1)
            assert await at.answers(CTRL_C) == []
            at.press(UP)
            await at.sees("> tail a -f log.txt", rows=1)
            assert await at.answers(CTRL_C) == []

            at.press(CTRL_D)
            assert await at.exit() == 0
        assert stat.S_IMODE((kit / ".console_history").stat().st_mode) == 0o600
        assert ADMIN not in (kit / ".console_history").read_text()


async def test_the_tab_key_knows_commands_sites_and_folders(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"berlin": None, "bern": None}) as made:
        (made.workspaces[ADMIN] / "transfer" / "lungs" / "config").mkdir(parents=True)
        async with console(made.workspaces[ADMIN], user=ADMIN) as at:
            for typed, becomes in (
                ("check_st", "check_status"),
                ("check_status cl", "check_status client"),
                ("check_status client berl", "check_status client berlin"),
                ("check_status client berlin b", "check_status client berlin bern"),
                ("upload_folder lu", "upload_folder lungs/"),
                ("upload_folder lungs/", "upload_folder lungs/config/"),
                ("? set_r", "? set_run_number"),
                ("deploy_a", "deploy_app"),
            ):
                at.press(typed + TAB)
                await at.sees(f"> {becomes}", rows=1)
                assert await at.answers(CTRL_C) == []
            at.press("check_status client " + TAB)  # the name that both begin with, then both to choose from
            await at.sees("> check_status client ber", rows=1)
            at.press(TAB)
            await at.sees("bern")
            assert await at.answers(CTRL_C) == []


async def test_who_cannot_log_in_is_told_why(tmp_path: Path) -> None:
    clock = SystemClock()
    port = free_port()
    ours = make_kits(tmp_path / "ours", Layout({}, port=port), clock)
    async with console(ours[ADMIN]) as at:
        await at.prompted("User Name:")
        at.press(ADMIN + ENTER)
        assert await at.exit() == 7
        assert "Communication Error - please try later" in at.rows
    async with world(tmp_path / "theirs", {}) as made:
        foreign = made.admin_kit.admin_port
        other = make_kits(tmp_path / "other", Layout({}, port=foreign), clock)
        async with console(other[ADMIN], "--user", ADMIN) as at:
            assert await at.exit() == 7
            assert "Failed to handshake with server - please try later" in at.rows
        async with console(made.workspaces[ADMIN], "-u", "me") as at:
            assert await at.exit() == 4 and "Incorrect user name or certificate" in at.rows


async def test_claras_session_is_typed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with gates(tmp_path / "data", ("a", 1), ("bb", 1)) as at_the_gate, world(tmp_path / "w", clients) as made:
        kit, server = made.workspaces[ADMIN], made.workspaces[SERVER]
        gated_job(kit / "transfer" / "study", num_rounds=3, wait_after_min_clients=600)
        fl_admin = str(kit / "startup" / "fl_admin.sh")
        async with console(Path(fl_admin), user=ADMIN) as at:
            assert (await server_says(at, "check_status server"))[0] == "FL run number has not been set."
            assert await moved(at, "upload_folder study") == [f"Created folder {server / 'transfer' / 'study'}"]
            assert await server_says(at, "set_run_number 1") == ["Create a new run folder: run_1"]
            assert await server_says(at, "deploy study server") == ["mmar_server has been deployed."]
            deployed = ["instance:a : MMAR deployed.", "", "instance:bb : MMAR deployed.", ""]
            assert await server_says(at, "deploy study client") == deployed
            assert await server_says(at, "start server") == ["Server training is starting...."]
            started = ["instance:a : Starting the client...", "", "instance:bb : Starting the client...", ""]
            assert await server_says(at, "start client") == started
            for gate in at_the_gate:
                await gate.reached()
            status = [" ".join(row.split()) for row in await server_says(at, "check_status server")]
            assert status[:3] == [
                "FL run number:1",
                "FL server status: training started",
                "run number:1 start round:0 max round:3 current round:1",
            ]
            assert (await server_says(at, "abort client a"))[0] == "instance:a : Aborting the client..."
            assert await server_says(at, "abort server") == ["Aborting the server..."]
            assert (await made.ended(1))[-1].kind == "run_aborted"

            assert (await at.answers("shutdown server" + ENTER, "Are you sure (Y/N):")) == []
            (refused,) = await at.answers("Y" + ENTER)
            assert refused == "Error: There are still active clients. Shutdown all clients first."
            await at.answers("shutdown client" + ENTER, "Are you sure (Y/N):")
            ended = await at.answers("Y" + ENTER)
            assert ended[:3:2] == ["instance:a : Shutdown the client...", "instance:bb : Shutdown the client..."]
            assert [await made.wait(client) for client in clients] == [0, 0]
            await at.answers("shutdown server" + ENTER, "Are you sure (Y/N):")
            at.press("y" + ENTER)
            assert await at.exit() == 0
            assert at.rows[-2] == "Bye bye" and "Shutdown the server..." in at.rows
        assert await made.wait(SERVER) == 0


def big_job(folder: Path, size: int) -> Path:
    """A job with a file that no packing makes smaller."""
    gated_job(folder, min_clients=1, num_rounds=1)
    (folder / "weights.bin").write_bytes(os.urandom(size))
    return folder


async def test_commands_are_answered_while_a_big_job_goes_up(tmp_path: Path) -> None:
    """Spec T11; and a transfer that is stopped, or whose console is lost, goes on where it was."""
    async with ConnectProxy() as line, world(tmp_path / "w", {}) as made:
        big_job(made.workspaces[ADMIN] / "transfer" / "big", 32 * MIB)
        line.rate = 4 * MIB
        async with console(made.workspaces[ADMIN], user=ADMIN, env=through(line)) as at:
            assert await at.says("upload_folder big") == [
                "It goes on while you go on; its end is told here, and `cancel 1` stops it."
            ]
            assert "Registered clients: 0" in await server_says(at, "check_status server")
            await line.until(lambda: line.passed[Way.UP] > 12 * MIB)
            line.rate = MIB
            (shown,) = await at.says("transfers")
            assert re.fullmatch(r"1  upload_folder big  [━┄]{24} +\d+%  \d.* MiB of 32.0 MiB, .*/s", shown), shown
            await at.until(lambda: any("upload_folder big  ━" in row for row in at.below), "showed the bar")
            (refused,) = await at.says("submit_job big")
            (held,) = await at.says("deploy big server")
            assert held.startswith("Error: big is still on its way to the server")
            assert refused.startswith("Error: big is on its way already")
            assert await at.says("cancel 1") == ["upload_folder big is stopped"]
            assert await at.says("transfers") == ["Nothing is on its way."]

            # The same line again, and its console is lost.
            await at.says("upload_folder big")
            at.process.kill()
            await at.exit()
        line.rate, sent = None, line.passed[Way.UP]
        async with console(made.workspaces[ADMIN], user=ADMIN, env=through(line)) as at:
            await at.says("upload_folder big")
            ended = re.compile(f"Created folder .*/transfer/big\n{DONE}\n>")
            await at.until(lambda: ended.fullmatch("\n".join(at.rows[-3:])) is not None, "told the end")
            assert await at.says("transfers") == ["Nothing is on its way."]
        assert line.passed[Way.UP] - sent < 28 * MIB, "what had arrived was sent again"
        assert (made.workspaces[SERVER] / "transfer" / "big" / "weights.bin").stat().st_size == 32 * MIB


async def test_files_are_fetched_from_the_server_and_from_its_runs(tmp_path: Path) -> None:
    async with ConnectProxy() as line, world(tmp_path / "w", {"a": None}) as made:
        local, server = made.workspaces[ADMIN] / "transfer", made.workspaces[SERVER]
        job = big_job(tmp_path / "big", 32 * MIB)
        run, _ = await made.run(job)
        assert not (local / "big").exists()
        async with console(made.workspaces[ADMIN], user=ADMIN, env=through(line)) as at:
            assert await at.says("info") == [
                f"Local Upload Source: {local}",
                f"Local Download Destination: {local}",
                f"Server Upload Destination: {server / 'transfer'}",
                f"Server Download Source: {server / 'transfer'}",
            ]
            fetched = await moved(at, "download_text big/job.toml run_1/metrics.jsonl")
            assert re.fullmatch(r"\| FILE +\| SIZE +\|", fetched[1]) and len(fetched) == 6
            assert (local / "big" / "job.toml").read_bytes() == (job / "job.toml").read_bytes()
            assert (local / "run_1" / "metrics.jsonl").stat().st_size > 0
            models = f"run_{run}/mmar_server/models"
            (told,) = await moved(at, f"download_folder {models}")
            assert told.endswith(f" to {local / models}") and told.startswith("Downloaded 1 file (")
            assert "big" in {row.split()[1].split("/")[1] for row in await server_says(at, "list_files") if "/" in row}

            # A big one does not block; its console is lost, and another goes on with it.
            line.rate = 4 * MIB
            at.press("download_folder big" + ENTER)
            await line.until(lambda: line.passed[Way.DOWN] > 16 * MIB)
            line.rate = MIB
            await at.sees(BACKGROUND.split(";")[0])
            assert "Registered clients: 1" in await server_says(at, "check_status server")
            at.process.kill()
            await at.exit()
            line.rate, before = None, line.passed[Way.DOWN]
        async with console(made.workspaces[ADMIN], user=ADMIN, env=through(line)) as at:
            (told,) = await moved(at, "download_folder big")
            assert told == f"Downloaded 3 files (32.0 MiB) to {local / 'big'}"
            assert line.passed[Way.DOWN] - before < 28 * MIB, "what had arrived was fetched again"
            assert {path.name: path.read_bytes() for path in (local / "big").iterdir()} == {
                path.name: path.read_bytes() for path in job.iterdir()
            }
            for typed, error in (
                ("download_folder nothing", "no such folder: nothing"),
                ("download_folder big/job.toml", "no such folder: big/job.toml"),
                ("download_binary big/none", "no such file: big/none"),
                ("download_binary big", "not a file: big"),
                ("download_binary ../startup/server.key", ".. in path name is not allowed"),
                ("download_folder /etc", "absolute path is not allowed"),
            ):
                assert (await at.says(typed))[0].startswith(f"Error: {error}")


async def test_files_that_are_no_jobs_go_up_and_come_back(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {}) as made, console(made.workspaces[ADMIN], user=ADMIN) as at:
        local, server = made.workspaces[ADMIN] / "transfer", made.workspaces[SERVER]
        gated_job(local / "big")
        await moved(at, "upload_folder big")
        (local / "notes.txt").write_text("of the study")
        sent = await moved(at, "upload_text notes.txt")
        assert sent[3].split()[1::2] == ["notes.txt", "12"]
        assert (server / "transfer" / "notes.txt").read_text() == "of the study"
        (local / "notes.txt").unlink()
        await moved(at, "download_text notes.txt")
        assert (local / "notes.txt").read_text() == "of the study"
        assert (await at.says("upload_binary nowhere.txt"))[0].startswith("Error: no such file: nowhere.txt")
        assert (await at.says("upload_binary big"))[0].startswith("Error: not a file: big")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "big").write_text("no folder")
        (refused,) = await at.says(f"upload_binary {tmp_path}/elsewhere/big")
        assert "there is a folder big already" in refused
        assert (await at.says("deploy notes.txt server"))[0].startswith("Error: no such folder: notes.txt")


async def test_two_consoles_and_a_lost_one_see_the_same_run(tmp_path: Path) -> None:
    async with (
        gates(tmp_path / "data", ("a", 1), ("a", 2)) as (first, second),
        world(tmp_path / "w", {"a": tmp_path / "data"}) as made,
        console(made.workspaces[ADMIN], user=ADMIN) as one,
        console(made.workspaces[ADMIN], user=ADMIN) as two,
    ):
        job = gated_job(tmp_path / "study", min_clients=1, num_rounds=3)
        assert (await one.says("watch"))[0].startswith("Error: there is no run yet")
        assert (await moved(one, f"submit_job {job}")) == ["run 1 submitted as run_1"]
        one.press("watch" + ENTER)
        two.press("watch 1" + ENTER)
        await first.reached()
        for at in (one, two):
            await at.sees("1 of 3 rounds, in round 1")

        # Ctrl-C leaves the view, Ctrl-C at the prompt nothing; the run goes on.
        assert (await two.answers(CTRL_C))[-1] == "Interrupted"
        assert await two.answers(CTRL_C) == []
        one.process.kill()
        await one.exit()
        first.open()
        await second.reached()
        async with console(made.workspaces[ADMIN], user=ADMIN) as again:
            assert "FL server status: training started" in await server_says(again, "check_status server")
            again.press("watch" + ENTER)
            await again.sees("2 of 3 rounds, in round 2")
            second.open()
            await again.until(lambda: again.rows[-1] == ">", "the view ends with the run")
            assert any(re.search(r"run 1  study  finished", row) for row in again.rows)
        assert any(re.match(r"\| 1 +\| 1 +\| study \| finished", row) for row in await server_says(two, "list_runs"))


async def test_a_console_outlives_its_server(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {}) as made, console(made.workspaces[ADMIN], user=ADMIN) as at:
        assert await server_says(at, "set_run_number 7") == ["Create a new run folder: run_7"]
        await made.kill(SERVER)
        (away,) = await at.says("check_status server")
        assert away.startswith("Error: Communication Error - please try later (localhost:")
        await made.start(SERVER)
        await made.log_in()
        # Since it was asked in vain it looks for the server about once a second, and may not have found it yet.
        while (await at.says("check_status server"))[0] == away:
            pass
        assert (await server_says(at, "check_status server"))[0] == "FL run number:7"

        # A server that has forgotten the session (an hour without a command, a new ledger) asks who it is.
        await made.kill(SERVER)
        ledger = sqlite3.connect(made.workspaces[SERVER] / "ledger.db")
        with ledger:
            ledger.execute("UPDATE sessions SET state = 'gone' WHERE role = 'admin'")
        ledger.close()
        await made.start(SERVER)
        await made.log_in()
        (error, _) = await at.answers("check_status server" + ENTER, "User Name:")
        assert error.startswith("Error: not authenticated - no user")
        assert await at.answers(ADMIN + ENTER) == [WELCOME]
        assert (await server_says(at, "check_status server"))[0] == "FL run number:7"
        os.kill(at.process.pid, signal.SIGINT)  # from outside, at the prompt: it means nothing there
        at.press("bye" + ENTER)
        assert await at.exit() == 0


async def piped(made: World, *lines: str) -> tuple[int, list[str]]:
    """What a script of these lines gets: exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rondo", "admin", str(made.workspaces[ADMIN])),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate("".join(f"{line}\n" for line in lines).encode())
    return process.returncode or 0, out.decode().splitlines()


async def test_lines_that_are_piped_in_are_done_one_after_another(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        gated_job(made.workspaces[ADMIN] / "transfer" / "study", min_clients=1, num_rounds=2)
        code, out = await piped(made, "upload_folder study", "submit_job study", "watch", "shutdown client", "N", "bye")
        assert code == 0, out
        assert out[:2] == [f"Admin Server: localhost on port {made.admin_kit.admin_port}", WELCOME]
        for words in ("> upload_folder study", "Are you sure (Y/N): N", "> bye", "Bye bye"):
            assert words in out
        assert any(line.endswith("the run is finished") for line in out)
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a"]
        code, out = await piped(made, "start client", "set_run_number x", "lpwd")
        assert code == 6 and str(Path.cwd()) in out and "Error: run number must be an integer." in out
