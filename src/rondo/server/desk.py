"""The desk: what commands may touch, carried out on ledger, runs and sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from rondo.base.errors import Conflict, RondoError
from rondo.base.options import Options
from rondo.base.site import Site
from rondo.commands import seam
from rondo.commands.rows import Problem, Row, Table
from rondo.ledger import events
from rondo.ledger import sessions as session_rows
from rondo.policy import preview
from rondo.policy.policy import OpenPolicy, Policy
from rondo.server.asking import TIMEOUT, Asking, Ending, SeatedClients, command_timeout
from rondo.server.folders import RunFolders
from rondo.server.running import RunDesk
from rondo.server.runs import Runs
from rondo.server.store import Store


class ServerHouse:
    """The server itself (``commands.desk.House``). ``stop`` ends it; it is told "restart" where it is to come back."""

    def __init__(self, store: Store, policy: Policy | OpenPolicy, project: str, stop: Callable[[str], None]) -> None:
        self.project = project
        self._policy = policy
        self._store = store
        self._stop = stop

    def authz(self, question: str, words: Sequence[str]) -> Table:
        if isinstance(self._policy, OpenPolicy):
            raise Conflict("no authorization policy defined")
        found = preview.answer(self._policy, question, words)
        return Table(list(found.head), [list(row) for row in found.rows])

    async def stop(self) -> None:
        if await self._store.read(session_rows.names):
            raise Conflict("There are still active clients. Shutdown all clients first.")
        self._stop("")

    async def restart(self) -> None:
        self._stop("restart")

    async def timeout(self) -> float:
        return await command_timeout(self._store)

    async def set_timeout(self, seconds: float) -> None:
        await self._store.do(events.put_setting, TIMEOUT, repr(seconds))


class ServerDesk:
    """One per command: ``asking`` knows who asks, ``end`` takes a client's session off the list."""

    def __init__(self, store: Store, live: Runs, house: ServerHouse, end: Ending, asking: Asking) -> None:
        self.user = asking.user
        self.house = house
        self._site = Site(seam.SERVER, store.folder)
        self._asking = asking
        self.clients = SeatedClients(store, asking, end)
        self.folders = RunFolders(store, asking)
        self.runs = RunDesk(store, live, self.folders, asking)

    async def visit(self, site: str, command: str, options: Options) -> AsyncIterator[Row]:
        if site == seam.SERVER:
            async for row in seam.find(command).at_site(self._site, options):
                yield row
        else:
            for row in await self._asking.ask(site, command, [seam.pack(options)]):
                yield row

    async def each(self, sites: Sequence[str], ask: Callable[[str], AsyncIterator[Row]]) -> AsyncIterator[Row]:
        async def answer(site: str) -> list[Row]:
            return [row async for row in ask(site)]

        asked = {site: asyncio.create_task(answer(site)) for site in sites}
        try:
            for site, answers in asked.items():
                try:
                    for row in await answers:
                        yield row
                except RondoError as error:
                    if site == seam.SERVER:
                        raise
                    yield Problem(str(error), site=site, code=error.code)
        finally:
            for answers in asked.values():
                answers.cancel()
            await asyncio.gather(*asked.values(), return_exceptions=True)
