"""The server program: open what survives, serve, and leave everything in a state to go on from."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rondo.base.clock import Clock, SystemClock
from rondo.base.disk import disk_errors
from rondo.base.errors import Conflict, RondoError
from rondo.blobs import local
from rondo.ledger import asks, events, runs, turns
from rondo.ledger import rounds as round_rows
from rondo.ledger import sessions as session_rows
from rondo.ledger.bell import Bell
from rondo.ledger.ledger import Ledger, Tx, sqlite_url
from rondo.net import methods
from rondo.net.calls import Handlers
from rondo.net.kits import revocations
from rondo.net.server import open_server
from rondo.pki.kit import Kit
from rondo.pki.revocation import REVOKED
from rondo.pki.revocation import Revoked as Entry
from rondo.pki.trust import Trust
from rondo.policy.authorization import load_authorization
from rondo.policy.policy import OpenPolicy
from rondo.server.audit import open_audit
from rondo.server.desk import ServerHouse
from rondo.server.distrust import distrust
from rondo.server.frontdesk import Frontdesk
from rondo.server.gateway import Gateway
from rondo.server.intake import Intake
from rondo.server.rights import Rights
from rondo.server.room import Room
from rondo.server.runs import Runs
from rondo.server.sessions import Sessions
from rondo.server.store import Store
from rondo.server.sweeping import sweep

log = logging.getLogger("rondo.server")

PARTING = 1.0  # seconds for calls that are being answered, such as the one that shuts the server down


class Revoked:
    """The entry of a revoked certificate, None for any other. The signed list is read again whenever its file changes.

    At the start a list that does not verify is refused; later (it may be half copied) the last good one stands.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._path = kit.folder / REVOKED
        self._seen = self._changed()
        self._list = revocations(kit)

    def __call__(self, fingerprint: str) -> Entry | None:
        changed = self._changed()
        if changed != self._seen:
            self._seen = changed
            try:
                fresh = revocations(self._kit)
                self._list = self._list.replaced_by(fresh, str(self._path))
                log.info("revocation list number %d is in force", fresh.number)
            except RondoError as error:
                log.error("%s; revocation list number %d stays in force", error, self._list.number)
        return self._list.entry(fingerprint)

    def _changed(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


@dataclass(frozen=True)
class Serving:
    """How to serve. ``fresh`` abandons open runs instead of going on with them (spec S1); ``url`` of the ledger, ""
    for SQLite in the workspace; ``bind``: address to listen on; ``durable``: what counts survives a loss of power."""

    fresh: bool = False
    bind: str = "[::]"
    url: str = ""
    durable: bool = False
    clock: Clock = field(default_factory=SystemClock)


async def serve(kit: Kit, how: Serving, stop: asyncio.Event, started: Callable[[list[int]], None]) -> str:
    """Serve until ``stop`` is set, or an admin wants it to end; returns "" or "restart".

    ``started`` is told the ports once all is ready.
    """
    wish: list[str] = []

    def end(what: str) -> None:
        wish.append(what)
        stop.set()

    async with _store(kit, how) as store, open_audit(store) as audit_file:
        await _take_up(store, how.fresh)
        rights = _rights(kit)
        live = Runs(store, rights)
        sessions = Sessions(store, kit, Revoked(kit), live.newcomer, live.left)
        await sessions.load()
        intake = Intake(store, sessions, live, rights, Trust(kit.ca_pem, kit.project))
        gateway = Gateway(store, sessions, intake, live, rights)
        desk = Frontdesk(store, sessions, live, rights, ServerHouse(store, rights.policy, kit.project, end))
        ports = sorted({kit.port, kit.admin_port})
        async with open_server(kit, _handlers(gateway, desk), ports, how.bind) as door, asyncio.TaskGroup() as tasks:
            log.info("starting secure server at %s:%d", kit.host, kit.port)
            log.info("Server started")
            if kit.unneeded:
                log.info("service.options are not needed and not used: %s", ", ".join(kit.unneeded))
            started(ports)
            jobs = [
                tasks.create_task(live.work()),
                tasks.create_task(sessions.sweep()),
                tasks.create_task(audit_file.follow()),
            ]
            await stop.wait()
            await door.stop(PARTING)
            for job in jobs:
                job.cancel()
    log.info("Server stopped")
    return wish[-1] if wish else ""


def _handlers(gateway: Gateway, desk: Frontdesk) -> Handlers:
    return {
        methods.REGISTER: gateway.register,
        methods.WAIT: gateway.wait,
        methods.BEAT: gateway.beat,
        methods.REPORT: gateway.report,
        methods.QUIT: gateway.quit,
        methods.OFFER: gateway.offer,
        methods.PULL: gateway.pull,
        methods.PUSH: gateway.push,
        methods.COMMAND: desk.command,
        methods.WATCH: desk.watch,
    }


def _rights(kit: Kit) -> Rights:
    """The kit's authorization; a project provisioned without one lets every admin do everything (Clara's super)."""
    return Rights(OpenPolicy() if kit.policy is None else load_authorization(kit.policy, "authorization.json"))


@asynccontextmanager
async def _store(kit: Kit, how: Serving) -> AsyncIterator[Store]:
    folder = kit.workspace
    with disk_errors(folder, "write in the workspace"):
        (folder / "spool").mkdir(exist_ok=True)
        lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another server runs in this workspace", where=str(folder), hint="stop it first") from None
        places = {"folder": str(folder / "blobs"), "spares": str(folder / "spool")}
        blobs = local.build(local.Options(**places, durable=how.durable))
        async with Ledger(how.url or sqlite_url(folder / "ledger.db"), durable=how.durable) as ledger:
            yield Store(ledger, blobs, Bell(), how.clock, folder, Room(folder, how.clock), how.durable)
    finally:
        os.close(lock)


async def _take_up(store: Store, fresh: bool) -> None:
    """Go on with open runs, or abandon them; sweep up what a killed server left behind."""

    def look(tx: Tx) -> list[tuple[runs.Run, int | None]]:
        now, found = store.clock.now(), []
        asks.withdraw(tx)  # whoever gave a command does not wait for its answer any more (T8)
        session_rows.withdraw_leaves(tx)
        for run in runs.open_runs(tx):
            this = round_rows.current(tx, run.id)
            found.append((run, this.round if this else None))
            if fresh:
                turns.end(tx, now, run.id, "aborted", {"error": "abandoned: the server was started with --fresh"})
            else:
                where = f"round {this.round}" if this else run.state
                events.record(
                    tx, now, run.id, "recovered", {"text": f"the server is back; run {run.id} goes on in {where}"}
                )
        return found

    await asyncio.to_thread(distrust, store)
    found = await store.do(look)
    for run, round_number in found:
        log.info("Run %d (round %s) %s", run.id, round_number, "is abandoned" if fresh else "goes on")
    await sweep(store)
