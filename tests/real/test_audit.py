"""The audit log of a whole federation: who did what, at the server and at the sites; and what is changed is found."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from rondo.base.chain import Entry, Link, read_line
from rondo.base.clock import SystemClock
from rondo.base.errors import RondoError
from rondo.base.journal import LOG, lines
from rondo.client.seat import Taken
from rondo.console.session import log_in
from rondo.ledger import audit
from rondo.ledger.reading import read_ledger
from rondo.net.kits import load_kit
from rondo.simulator.local import ADMIN, SERVER
from tests.real.gates import command
from tests.real.test_console_commands import rondo
from tests.real.world import World, world, write_job

GUEST = "guest@rondo.demo"  # may look, and nothing else
TWO_ADMINS: dict[str, Any] = {
    "project": {
        "disable_authz": False,
        "admin_clients": [
            {"org": "hub", "email": ADMIN, "roles": ["super"]},
            {"org": "hub", "email": GUEST, "roles": ["guest"]},
        ],
        "authz_policy": {
            "orgs": {"hub": ["all"], "a": ["all"], "bb": ["all"]},
            "roles": {"super": "everything", "guest": "looks"},
            "groups": {"all": {"desc": "all", "rules": {"byoc": True}, "role_rights": {"guest": {"view_all": True}}}},
        },
    },
    "server": {"auth": None},
}


def links(workspace: Path) -> list[Link]:
    return [read_line(place.raw) for place in lines(workspace)]


def told(workspace: Path, action: str = "") -> list[Entry]:
    """What happened there, of actions that begin so."""
    return [link.entry for link in links(workspace) if link.entry.action.startswith(action)]


def words(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    return [(one.user, one.message) for one in entries]


async def verified(workspace: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of ``rondo audit verify``."""
    done = await rondo("audit", "verify", str(workspace), "--format", "json", *more)
    return done.code, json.loads(done.out)


async def whole(made: World) -> None:
    for name in (SERVER, *made.layout.clients):
        code, answer = await verified(made.workspaces[name])
        assert (code, answer["faults"]) == (0, []), (name, answer)


@contextmanager
def tampered(workspace: Path, change: Callable[[list[bytes]], list[bytes]]) -> Iterator[None]:
    before = (workspace / LOG).read_bytes()
    (workspace / LOG).write_bytes(b"".join(change(before.splitlines(keepends=True))))
    try:
        yield
    finally:
        (workspace / LOG).write_bytes(before)


class Played(NamedTuple):
    server: Path
    site: Path
    tokens: list[str]


def seats(made: World) -> list[Path]:
    return list((made.workspaces["a"] / "seats").glob("*.json"))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A session of two admins, one of whom is refused; over, and left alone."""
    return asyncio.run(play(tmp_path_factory.mktemp("audit")))


async def play(folder: Path) -> Played:
    async with world(folder / "w", {"a": None, "bb": None}, **TWO_ADMINS) as made:
        await made.run(write_job(folder / "noise", num_rounds=2))
        async with log_in(load_kit(made.workspaces[GUEST], SystemClock().now()), "test") as visitor:
            await command(visitor, "check_status server")
            for line in ("deploy noise client a", "abort client all][U:root"):
                with pytest.raises(RondoError):
                    await command(visitor, line)
        await command(made.session, "set_run_number 7")
        await command(made.session, "deploy noise client a")
        tokens = [msgspec.json.decode(path.read_bytes().partition(b"\n")[0], type=Taken).token for path in seats(made)]
        await command(made.session, "shutdown client a")
        assert await made.wait("a") == 0
    await whole(made)
    return Played(made.workspaces[SERVER], made.workspaces["a"], tokens)


def test_who_did_what_is_in_the_servers_log(played: Played) -> None:
    server = played.server
    assert words(told(server, "check_status server")) == [(GUEST, "allowed"), (GUEST, "done")]
    refused, begun, done = told(server, "deploy noise client a")
    assert refused.user == GUEST and refused.message.startswith("refused: Authorization Error")
    assert words([begun, done]) == [(ADMIN, "allowed"), (ADMIN, "done")]
    assert done.ref == begun.event
    (odd,) = told(server, "abort")
    assert (odd.user, odd.action) == (GUEST, "abort client 'all\\x5d\\x5bU:root'")
    assert words(told(server, "run_"))[1:] == [("server", "run 1"), ("server", "run 1 finished")]
    assert [one.user for one in told(server, "package_uploaded")] == [ADMIN]
    assert {one.user for one in told(server, "package_fetched")} == {"a", "bb"}
    everybody = {ADMIN, GUEST, "a", "bb"}
    assert {one.user for one in told(server, "log_in")} == {one.user for one in told(server, "log_out")} == everybody


def test_what_a_site_did_names_the_admin_and_the_event_at_the_server(played: Played) -> None:
    server, site, _ = played
    (_, begun, _), (shutdown, _) = told(server, "deploy noise client a"), told(server, "shutdown client a")
    asked, answered = told(site, "deploy")
    assert (asked.ref, asked.user) == (answered.ref, answered.user) == (begun.event, ADMIN)
    assert asked.message.startswith("7 noise blake3:") and answered.message.endswith(": done")
    assert [(one.ref, one.user) for one in told(site, "shutdown")] == [(shutdown.event, ADMIN)]
    submitted, _ = told(server, "submit_job noise")
    assert {one.ref for one in told(site, "take part in noise")} == {submitted.event}
    assert {one.ref for one in told(server, "run_submitted")} == {submitted.event}
    let_in = [(one.ref, one.message.rpartition(": ")[2]) for one in told(site, "site_policy")]
    assert let_in == [(submitted.event, "allowed"), (begun.event, "allowed")]


def test_what_left_a_site_is_what_the_server_took(played: Played) -> None:
    sent = [re.findall(r"round \d+: \d+ bytes (\S+)", one.message)[0] for one in told(played.site, "send_update")]
    taken = [one.message.split()[-1] for one in told(played.server, "update_accepted") if one.user == "a"]
    assert len(sent) == 2 and taken[:2] == sent


def test_the_logs_are_for_their_owner_and_hold_no_secret(played: Played) -> None:
    for workspace in (played.server, played.site):
        text = (workspace / LOG).read_text()
        assert played.tokens and not any(token in text for token in played.tokens)
        assert stat.S_IMODE((workspace / LOG).stat().st_mode) == 0o600


async def test_entries_are_shown_by_user_and_action(played: Played) -> None:
    shown = await rondo("audit", "show", str(played.server), "--user", GUEST, "--action", "deploy")
    assert shown.out.count("\n") == 1 and f"[U:{GUEST}] [A:deploy noise client a] [M:refused:" in shown.out
    later = await rondo("audit", "show", str(played.server), "--since", "2100-01-01")
    assert (later.code, later.out) == (0, "")
    assert (await rondo("audit", "show", str(played.server.parent))).code == 5


async def test_a_changed_line_of_the_server_is_found(played: Played) -> None:
    with tampered(played.server, lambda raws: [*raws[:4], *raws[5:]]):
        code, answer = await verified(played.server)
        assert (code, answer["faults"][0]["where"]) == (3, "audit.log:5")
    done = await rondo("audit", "verify", str(played.server))
    assert done.code == 0 and "nothing was removed, changed or moved" in done.out


async def test_a_cut_log_of_a_site_is_found_by_what_the_server_was_told(played: Played) -> None:
    head = next(one.message for one in reversed(told(played.server, "audit_head")) if one.user == "a")
    assert (await verified(played.site, "--head", head))[0] == 0
    with tampered(played.site, lambda raws: raws[:-1]):
        assert (await verified(played.site))[0] == 0, "by itself the end of a site's log proves nothing"
        code, answer = await verified(played.site, "--head", head)
        assert (code, answer["faults"][0]["where"]) == (3, "the end")


async def test_kill_9_in_the_middle_of_a_run_leaves_logs_that_verify(tmp_path: Path) -> None:
    deadly = (sys.executable, "-m", "tests.real.killpoint", "after folding", "2")
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly}) as made:
        run = await made.session.submit(write_job(tmp_path / "noise"))
        assert await made.wait(SERVER) == -9
        server = made.workspaces[SERVER]
        ledger = read_ledger(server / "ledger.db", "", lambda tx: list(audit.everything(tx)))
        assert ledger[: len(links(server))] == links(server), "the file is what the ledger was a moment ago"
        with (server / LOG).open("ab") as file:
            file.write(b"[E:a line that power was lost in")
        await made.kill("a")
        with (made.workspaces["a"] / LOG).open("ab") as file:
            file.write(b"[E:a line that power was lost in")
        assert (await verified(made.workspaces["a"]))[0] == 3
        await made.start(SERVER)
        await made.start("a")
        await made.log_in()
        assert (await made.ended(run))[-1].kind == "run_finished"
    await whole(made)
    assert [one.user for one in told(made.workspaces["a"], "repaired")] == ["client"]
    assert len(told(server, "server_started")) == 2 and len(told(server, "server_stopped")) == 1
    counted = [(one.user, one.message.partition(":")[0]) for one in told(server, "update_accepted")]
    assert len(counted) == len(set(counted)) == 8
