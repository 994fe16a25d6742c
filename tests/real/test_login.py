"""Logging in: names and tokens, what outlives the server, and certificates that are revoked or renewed meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rondo.net import methods
from rondo.net.kits import read_kit
from rondo.simulator.local import ADMIN, RONDO, SERVER, Layout, project_file
from rondo.wire import rondo_pb2 as pb
from tests.ports import free_port
from tests.real.door import Door, hello, refused
from tests.real.gates import command, gated_job, gates, printed, texts
from tests.real.killpoint import AT_LOG_IN
from tests.real.world import World, world


async def rondo(*args: str) -> str:
    """What ``rondo ARGS`` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rondo", *args), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def provision(made: World, *args: str) -> dict[str, Any]:
    """``rondo provision ARGS`` in the folder of this federation."""
    (made.folder / "project.yml").write_text(json.dumps(project_file(made.layout, made.layout.port)))
    found: dict[str, Any] = json.loads(await rondo("provision", *args, "--format", "json"))
    return found


async def sessions(made: World) -> dict[str, str]:
    """Instance name -> beginning of the session's token, of every client that is logged in."""
    lines = (await made.session.facts("check_status", "client"))["clients"]
    return {line["instance"]: line["session"] for line in lines}


async def test_names_tokens_and_limits(tmp_path: Path) -> None:
    here = world(tmp_path / "w", {"a": None, "bb": None}, absent=("a", "bb"), server={"max_num_clients": 3})
    async with here as made:
        door = Door(made)
        await command(made.session, "set_timeout 0.5")  # whoever is logged in here answers no command
        async with door.logged_in("a") as first, door.logged_in("a") as second, door.logged_in("bb") as third:
            # Instances are named by the server; each has a token of its own.
            assert list(await sessions(made)) == ["a", "a_1", "bb"]
            assert len({channel.token for channel in (first, second, third)}) == 3
            full = "RESOURCE_EXHAUSTED: Maximum number of clients reached"
            assert await door.refused(door.of("bb"), name="bb") == full
            # An admin is no client: there is room for any number of them, and the name is the certificate's.
            async with door.logged_in(ADMIN, "admin"):
                pass

            # Who shows the token again is the one who had it, also when there is no room for another.
            again = hello("a")
            again.token = second.token
            welcome = await second.call(methods.REGISTER, again)
            assert (welcome.instance, welcome.token) == ("a_1", second.token)
            # A token of another certificate helps nobody.
            again.token = third.token
            assert await refused(second, methods.REGISTER, again) == full

            # Who has quit is gone, token and all; the name is free again.
            await first.call(methods.QUIT, pb.Quit(reason="quit"))
            assert await refused(first, methods.BEAT, pb.Beat()) == "UNAUTHENTICATED: Unknown client identity"
            async with door.logged_in("a") as fourth:
                assert list(await sessions(made)) == ["a", "a_1", "bb"]
                before = await sessions(made)

                # Tokens outlive the server: they are in its ledger, not in its memory.
                await made.kill(SERVER)
                await made.start(SERVER)
                await made.log_in()
                assert await sessions(made) == before
                for channel in (second, third, fourth):
                    await channel.call(methods.BEAT, pb.Beat())
                assert (await refused(first, methods.BEAT, pb.Beat())).startswith("UNAUTHENTICATED")
                # No token is anywhere on the server's disk or in its log, only their hashes are.
                files = [path for path in made.workspaces[SERVER].rglob("*") if path.is_file()]
                kept = b"".join(path.read_bytes() for path in files) + made.output(SERVER).encode()
                assert not any(channel.token.encode() in kept for channel in (first, second, third, fourth))


@pytest.mark.parametrize(("point", "who"), [(point, who) for point, who in zip(AT_LOG_IN, (SERVER, "a"), strict=True)])
async def test_a_log_in_that_was_cut_short_leaves_no_second_client(tmp_path: Path, point: str, who: str) -> None:
    made = World(tmp_path / "w", Layout({"a": None}, port=free_port()))
    deadly = (sys.executable, "-m", "tests.real.killpoint", point, "1")
    try:
        for name in (SERVER, "a"):
            await made.start(name, command=deadly if name == who else RONDO)
        assert await made.wait(who) == -9, "it did not come to the point"
        await made.start(who)
        await printed(made.folder / "a.out", "Successfully registered client:a for ")
        await made.log_in()
        assert list(await sessions(made)) == ["a"]
    finally:
        await made.sessions.aclose()
        await made.stop_all()


async def test_certificates_change_while_the_server_runs(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("bb", 1)) as (gate,),
        world(tmp_path / "w", clients) as made,
    ):
        state, server = str(made.folder / "state"), str(made.workspaces[SERVER])
        pid, before = made.pid(SERVER), await sessions(made)
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=3))
        await gate.reached()

        # A renewed kit, opened in the place of the old one: the same session, in the middle of a run.
        project = ("-p", str(made.folder / "project.yml"), "-s", state, "-o", str(made.folder / "renewed"))
        (kit,) = (await provision(made, "renew", "bb", *project))["kits"]
        old = read_kit(made.workspaces["bb"]).certificate.fingerprint
        await made.kill("bb")
        opening = ("-d", str(made.workspaces["bb"]), "--password", kit["password"], "--replace")
        await rondo("kit", "open", kit["file"], *opening)
        assert read_kit(made.workspaces["bb"]).certificate.fingerprint != old
        await made.start("bb")
        await made.until("client_back", client="bb")
        assert await sessions(made) == before
        await gate.reached()
        assert "logging in again" not in made.output("bb")
        gate.open()
        assert (await made.ended(run))[-1].kind == "run_finished"

        # A revoked certificate counts for nothing within a moment, though its holder only sits there and waits.
        last = await made.last_event()
        await provision(made, "revoke", "a", "-s", state, "--server-kit", server, "--reason", "lost laptop")
        assert await made.wait("a") == 4
        assert "this certificate has been revoked: lost laptop" in made.output("a").splitlines()[-1]
        gone = await made.until("client_gone", after=last, client="a")
        assert gone.data["reason"] == "revoked"
        assert list(await sessions(made)) == ["bb"]
        await made.start("a")
        assert await made.wait("a") == 4
        assert made.pid(SERVER) == pid and made.output(SERVER).count("Server started") == 1
        assert texts(await command(made.session, "check_status server"))

        # The admin who is shut out is so at once, in the middle of what is being watched.
        watching = asyncio.ensure_future(made.until("never", after=await made.last_event()))
        await provision(made, "revoke", ADMIN, "-s", state, "--server-kit", server)
        error = (await asyncio.gather(watching, return_exceptions=True))[0]
        assert "this certificate has been revoked" in str(error)
