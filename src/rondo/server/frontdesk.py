"""The door for admins: a command in, rows out; and the stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import ModuleType

import msgspec

from rondo.base.errors import NotFound
from rondo.base.options import Options
from rondo.commands import rows as row_kinds
from rondo.commands import seam
from rondo.commands.rows import Row
from rondo.ledger import events, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import OPEN
from rondo.net.calls import Call
from rondo.policy.actions import Action
from rondo.server.asking import Asking
from rondo.server.audit import see_allowed
from rondo.server.desk import ServerDesk, ServerHouse
from rondo.server.packing import packs
from rondo.server.rights import Rights
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.store import Store
from rondo.server.told import Asked, told, words_of
from rondo.wire import rondo_pb2 as pb

TOGETHER = 0.03  # seconds: what happens within them goes out together


class Frontdesk:
    def __init__(self, store: Store, sessions: Sessions, live: Runs, rights: Rights, house: ServerHouse) -> None:
        self._store = store
        self._sessions = sessions
        self._runs = live
        self._rights = rights
        self._house = house

    async def command(self, request: pb.CommandRequest, call: Call) -> AsyncIterator[pb.Rows]:
        """Raises what the command raises; refusals come before anything is done, for all targets together."""
        session = await self._sessions.who(call, "admin")
        async with told(self._store, session, words_of(request)) as asked:
            module = seam.find(request.name)
            options = seam.parse(module, list(request.args))
            asking = Asking(self._store, session.name, asked.event)
            desk = ServerDesk(self._store, self._runs, self._house, self._sessions.end, asking)
            options = await self._allow(desk, module, options)
            await asked.allowed()
            made = packs(_encoded(module.run(desk, options), asked))
            async with self._sessions.waiting(session), aclosing(made) as answers:
                async for pack in answers:
                    await self._sessions.who(call, "admin")  # it may have been revoked meanwhile: some commands go on
                    yield pb.Rows(json=pack)

    async def _allow(self, desk: ServerDesk, module: ModuleType, options: Options) -> Options:
        """Whose rights a command needs: those of its targets, else the server's; of a package, its facts too.

        Returns the options with the targets that were looked at: whoever logs in meanwhile is none of them.
        """
        options, sites = await seam.reached(desk, module, options)
        kits = {**await desk.clients.kits(), seam.SERVER: seam.SERVER}
        gone = [site for site in sites if site not in kits]
        if gone:  # meanwhile: nobody knows whose site it would be if it came back
            raise NotFound(f"invalid client(s): {' '.join(gone)}")
        folder = getattr(options, "folder", "")
        facts = await desk.folders.facts(seam.folder_name(folder)) if folder else None
        for action in (module.PERMISSION, *getattr(module, "ALSO", ())):
            self._rights.check(desk.user, Action[action], [kits[site] for site in sites], facts)
        return options

    async def watch(self, request: pb.WatchRequest, call: Call) -> AsyncIterator[pb.EventRow]:
        """Events after number ``after``; where asked to follow, until the run has ended."""
        session = await self._sessions.who(call, "admin")
        await see_allowed(self._store, self._rights, session, Action.VIEW)
        number, run = request.after, request.run or None
        if run and await self._store.read(runs.get, run) is None:
            raise NotFound(f"there is no run {run}", hint="list_runs shows what there is")
        events_of = self._events(number, run, request.follow, call)
        async with self._sessions.waiting(session), aclosing(events_of) as found:
            async for row in found:
                yield row

    async def _events(
        self, number: int, run: int | None, follow: bool, call: Call
    ) -> AsyncGenerator[pb.EventRow, None]:
        while True:
            ticket = self._store.bell.ticket("events")
            found, ended = await self._store.read(_news, number, run)
            for event in found:
                number = event.number
                data = msgspec.json.encode(event.data)
                yield pb.EventRow(number=event.number, at=event.at, run=event.run, kind=event.kind, json=data)
            if found and (ended or not follow or len(found) == events.MOST):
                continue  # there may be more
            if ended or not follow:
                return
            await self._store.bell.wait("events", ticket)
            await asyncio.sleep(TOGETHER)  # no waiting for anybody: a busy round rings for every update
            await self._sessions.who(call, "admin")  # it may have been revoked meanwhile


async def _encoded(rows: AsyncGenerator[Row, None], asked: Asked) -> AsyncGenerator[bytes, None]:
    async with aclosing(rows):
        async for row in rows:
            asked.answered(row)
            yield row_kinds.encode(row)


def _news(tx: Tx, number: int, run: int | None) -> tuple[list[events.Event], bool]:
    line = runs.get(tx, run) if run else None
    return events.after(tx, number, run), line is not None and line.state not in OPEN
