"""Asking clients: an order in the ledger, the bell, an answer within the command timeout, or none for ever (T8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rondo.base.errors import NotFound, Unreachable, by_code
from rondo.base.ids import new_id
from rondo.commands import rows as row_kinds
from rondo.commands.desk import ClientLine
from rondo.commands.rows import Row
from rondo.ledger import asks, events
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.sessions import Session
from rondo.server.lines import client_lines
from rondo.server.store import Store

TIMEOUT = "command_timeout"
DEFAULT_TIMEOUT = 10.0  # seconds, as in Clara

Ending = Callable[[Session, str], Awaitable[None]]


async def command_timeout(store: Store) -> float:
    """Seconds that a client has to answer a command."""
    chosen = await store.read(events.setting, TIMEOUT)
    return float(chosen) if chosen else DEFAULT_TIMEOUT


class Asking:
    """``user``: in whose name; ``event``: of the command in the audit log."""

    def __init__(self, store: Store, user: str, event: str = "") -> None:
        self._store = store
        self.user = user
        self.event = event

    async def order(
        self, client: str, write: Callable[[Tx], None], done: Callable[[Tx], bool], withdraw: Callable[[Tx], None]
    ) -> None:
        """Write an order for ``client`` and wait until it is ``done``, at most the command timeout.

        What is not done by then, or when the admin waits no more, is withdrawn: never carried out late (T8). Raises
        ``Unreachable``.
        """
        try:
            until = self._store.clock.ticks() + await command_timeout(self._store)
            await self._store.do(write)
            self._store.bell.ring(f"client:{client}")
            while True:
                ticket = self._store.bell.ticket(f"answers:{client}")
                if await self._store.read(done):
                    return
                left = until - self._store.clock.ticks()
                if left <= 0:
                    raise Unreachable("No replies", hint="the command was withdrawn")
                await self._store.bell.wait(f"answers:{client}", ticket, left)
        finally:
            await asyncio.shield(self._store.do(withdraw))

    async def ask(self, client: str, name: str, args: Sequence[str]) -> list[Row]:
        """What ``client`` answers to the command ``name``. Raises ``Unreachable``, and what went wrong there."""
        now = self._store.clock.now()
        ask = asks.Ask(new_id(), client, name, list(args), self.user, "pending", None, now, self.event)
        found: list[asks.Ask] = []

        def answered(tx: Tx) -> bool:
            found[:] = filter(None, [asks.answered(tx, ask.id)])
            return bool(found)

        begun = False

        def end(tx: Tx) -> None:
            nonlocal begun
            begun = asks.end(tx, ask.id)

        try:
            await self.order(client, lambda tx: asks.put(tx, ask), answered, end)
        except Unreachable as error:
            raise Unreachable(error.what, hint="it has begun, and may be done" if begun else error.hint) from None
        answer = found[0].answer
        if answer["error"]:
            raise by_code(answer["code"], answer["error"])
        return [row_kinds.decode(row.encode()) for row in answer["rows"]]


class SeatedClients:
    """Who is logged in (``commands.desk.Clients``). ``end`` takes a session off the list, and says why."""

    def __init__(self, store: Store, asking: Asking, end: Ending) -> None:
        self._store = store
        self._asking = asking
        self._end = end

    async def listed(self) -> list[ClientLine]:
        return await self._store.read(client_lines)

    async def kits(self) -> dict[str, str]:
        return await self._store.read(session_rows.kits)

    async def leave(self, client: str, how: str) -> None:
        def gone(tx: Tx) -> bool:
            return client not in session_rows.names(tx)

        def leave(how: str) -> Callable[[Tx], None]:
            return lambda tx: session_rows.order_leave(tx, client, how, self._asking.user, self._asking.event)

        await self._asking.order(client, leave(how), gone, leave(""))

    async def remove(self, client: str) -> None:
        found = [session for session in await self._store.read(session_rows.present) if session.instance == client]
        if not found:
            raise NotFound(f"invalid client(s): {client}")
        await asyncio.shield(self._end(found[0], "removed"))
