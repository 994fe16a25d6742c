"""Who is logged in: what the sweep does, and what a token is worth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rondo.base.clock import ManualClock
from rondo.base.errors import LedgerBusy, Refused
from rondo.ledger import events
from rondo.ledger import sessions as rows
from rondo.ledger.ledger import Ledger
from rondo.ledger.sessions import Session
from rondo.net.calls import Call, Peer
from rondo.net.errors import status_of
from rondo.pki.kit import Kit
from rondo.server.sessions import ADMIN_IDLE, Sessions
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb
from tests.server.house import House, house


class Locked(Ledger):
    """A ledger that another process holds when a client is to be marked."""

    times = 0

    async def do(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        if "_mark" in getattr(operation, "__qualname__", "") and self.times == 0:
            self.times += 1
            raise LedgerBusy("the ledger is not to be had")
        return await super().do(operation, *args, **kwargs)


class Room:
    """Sessions, and what they told: ``back`` and ``gone`` by instance name."""

    def __init__(self, made: House, kit: Kit, clock: ManualClock) -> None:
        self.back: list[str] = []
        self.gone: list[str] = []
        self.store, self.kit, self.clock = made.store, kit, clock
        self.sessions = Sessions(made.store, kit, lambda _: None, self._back, lambda s: self.gone.append(s.instance))

    async def _back(self, session: Session) -> None:
        self.back.append(session.instance)

    async def log_in(self, name: str = "a", role: str = "client", fingerprint: str = "f", token: str = "") -> Call:
        """Log in; returns a call of the new session."""
        peer = Peer(name, role, fingerprint, "h:1")
        hello = pb.Hello(project=self.kit.project, name=name, protocol=PROTOCOL, role=role, token=token)
        return Call("m", peer, (await self.sessions.register(hello, peer)).token)

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.sessions.sweep())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, kind: str) -> None:
        """An event of that kind; everything that has ended is looked at, too."""
        async with asyncio.timeout(10):
            while True:
                ticket = self.store.bell.ticket("events")
                if kind in [event.kind for event in await self.store.read(events.after, 0)]:
                    return
                await self.store.bell.wait("events", ticket)


@asynccontextmanager
async def room(folder: Path, kit: Kit, ledger: type[Ledger] = Ledger) -> AsyncIterator[Room]:
    clock = ManualClock(1000.0)
    async with house(folder / "w", clock=clock, ledger=ledger) as made:
        yield Room(made, kit, clock)


async def test_a_locked_ledger_does_not_end_the_sweep(tmp_path: Path, kit: Kit) -> None:
    async with room(tmp_path, kit, Locked) as made, made.sweeping() as task:
        await made.log_in()
        made.clock.advance(10)
        await made.until("client_away")
        assert not task.done()


async def test_whoever_was_removed_and_is_heard_of_again_is_back(tmp_path: Path, kit: Kit) -> None:
    async with room(tmp_path, kit) as made:
        call = await made.log_in()
        async with made.sweeping():
            made.clock.advance(kit.settings.heart_beat_timeout + 1)
            await made.until("client_gone")
        assert (made.back, made.gone) == (["a"], ["a"])
        thief = Call("m", Peer("a", "client", "another", "h:2"), call.token)
        with pytest.raises(Refused, match="another certificate"):
            await made.sessions.who(thief, "client")
        assert await made.store.read(rows.present) == []  # the thief has not brought it back
        assert (await made.sessions.who(call, "client")).instance == "a"
        assert made.back == ["a", "a"]


async def test_an_idle_admin_logs_in_again(tmp_path: Path, kit: Kit) -> None:
    async with room(tmp_path, kit) as made:
        call, watching = await made.log_in("x@y", "admin"), await made.log_in("z@y", "admin")
        async with made.sweeping(), made.sessions.waiting(await made.sessions.who(watching, "admin")):
            made.clock.advance(ADMIN_IDLE + 1)
            async with asyncio.timeout(10):
                while len(await made.store.read(rows.present, "admin")) == 2:
                    await made.store.bell.wait("events", made.store.bell.ticket("events"), 0.2)
        for held, why in ((call, "no user"), (replace(call, token=""), "no token")):
            with pytest.raises(Refused, match=f"not authenticated - {why}") as refused:
                await made.sessions.who(held, "admin")
            assert status_of(refused.value) == "UNAUTHENTICATED"
        assert (await made.sessions.who(watching, "admin")).name == "z@y"


async def test_nothing_is_kept_of_a_client_that_has_quit(tmp_path: Path, kit: Kit) -> None:
    async with room(tmp_path, kit) as made:
        session = await made.sessions.who(await made.log_in(), "client")
        async with made.sessions.waiting(session):
            await made.sessions.end(session, "quit")
        made.sessions.heard(session)
        assert not any(vars(made.sessions)[name] for name in ("_known", "_seen", "_waiting"))
