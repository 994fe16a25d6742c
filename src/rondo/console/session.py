"""An admin's session: commands, uploads, downloads, the event stream. Every face of the console is built on it."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rondo.base.errors import (
    BadInput,
    MachineFault,
    NotFound,
    ProtocolBroken,
    RondoError,
    RunAborted,
    RunFailed,
    Unreachable,
    by_code,
)
from rondo.commands import rows as row_kinds
from rondo.commands import seam
from rondo.commands.rows import Problem, Row
from rondo.jobs.check import check_job
from rondo.jobs.job import read_job
from rondo.jobs.package import pack
from rondo.net import methods
from rondo.net.channel import Channel, open_channel
from rondo.net.retry import Backoff, keep_trying
from rondo.net.transfer import Progress, pull, push
from rondo.pki.kit import Kit
from rondo.pki.vouchers import vouch
from rondo.tensors.digest import FileInfo, file_digest
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb

ENDED = ("run_finished", "run_failed", "run_aborted")
UPLOAD_PATIENCE = 60.0  # seconds a transfer of the console survives without the server


@dataclass(frozen=True)
class RunEvent:
    """One event of a run (or of the server: ``run`` 0), as the ledger numbered it. ``at``: seconds since the epoch."""

    number: int
    at: float
    run: int
    kind: str
    data: dict[str, Any]


class AdminSession:
    def __init__(self, kit: Kit, channel: Channel, version: str) -> None:
        self.kit = kit
        self._channel = channel
        self._version = version
        self._backoff = Backoff(random.Random(), patience=UPLOAD_PATIENCE)  # only spreads the tries

    async def register(self, user: str = "", patience: float = 0.0) -> None:
        """Log in, again where that was done before. ``user``: as somebody typed it; "" for the kit's.

        ``patience``: seconds to wait for a server that is not there. Raises ``Unreachable`` (``GaveUp`` after
        patience), ``Refused``.
        """
        kit, version = self.kit, self._version
        hello = pb.Hello(project=kit.project, name=user or kit.name, role="admin", protocol=PROTOCOL, version=version)

        async def register() -> pb.Welcome:
            return await self._channel.call(methods.REGISTER, hello, timeout=15.0)

        tries = Backoff(random.Random(), patience=patience, most=1.0)  # only spreads the tries
        welcome = await (keep_trying(register, tries) if patience else register())
        self._channel.token = welcome.token

    async def rows(self, name: str, args: list[str], progress: Progress | None = None) -> AsyncGenerator[Row, None]:
        """Run one command; a command that needs a local folder at the server sends it first."""
        module = seam.find(name)
        options = seam.parse(module, args)
        if getattr(module, "SENDS", ""):
            given = getattr(options, module.SENDS)
            folder = await asyncio.to_thread(self._local, given)
            await self.upload(folder, progress)
            args = [folder.name if word == given else word for word in args]  # "." and links have another name there
        request = pb.CommandRequest(name=name, args=args)
        async with aclosing(self._channel.stream(methods.COMMAND, request)) as answers:
            async for answer in answers:
                try:
                    rows = [row_kinds.decode(row) for row in answer.json]
                except msgspec.MsgspecError as error:
                    raise ProtocolBroken(f"an answer that cannot be read: {error}", where=self._channel.where) from None
                for row in rows:
                    yield row

    async def facts(self, name: str, *args: str, progress: Progress | None = None) -> dict[str, Any]:
        """The values that a command answers with, for programs."""
        async with aclosing(self.rows(name, list(args), progress)) as rows:
            return row_kinds.facts([row async for row in rows])

    def _local(self, folder: str) -> Path:
        """Relative to the console's transfer folder (Clara), else as a path."""
        for path in (self.kit.workspace / "transfer" / folder, Path(folder)):
            if path.is_dir():
                return path.resolve()
        raise BadInput(
            f'"{folder}" is not a valid folder', hint=f"looked in {self.kit.workspace / 'transfer'} and here"
        )

    async def upload(self, folder: Path, progress: Progress | None = None) -> FileInfo:
        """Check the job, pack it, sign it, send it to the staging area. Raises ``BadInput`` before anything is sent."""
        job = await asyncio.to_thread(read_job, folder)
        await asyncio.to_thread(check_job, job, folder)
        with tempfile.TemporaryDirectory() as scratch:
            file = await asyncio.to_thread(pack, folder, Path(scratch) / "package.zip")
            await self._send(file, pb.Package(name=folder.name), progress)
        return file

    async def upload_file(self, path: Path, progress: Progress | None = None) -> FileInfo:
        """Send a file that is no job to the staging area, as it is."""
        file = await asyncio.to_thread(file_digest, path)
        await self._send(file, pb.Package(name=path.name, plain=True), progress)
        return file

    async def _send(self, file: FileInfo, package: pb.Package, progress: Progress | None) -> None:
        """Signed, so that server and sites can see whose it is."""
        package.voucher = vouch(file.digest, self.kit.project, self.kit.cert_pem, self.kit.key_pem)
        await push(self._channel, file, pb.Offer(package=package), self._backoff, progress)

    async def submit(self, folder: Path, progress: Progress | None = None) -> int:
        """Upload and run the job in this folder (never one of the transfer folder); returns the run's id."""
        resolved = str(await asyncio.to_thread(folder.resolve))
        return int((await self.facts("submit_job", resolved, progress=progress))["run"])

    async def watch(self, run: int = 0, after: int = 0, follow: bool = True) -> AsyncGenerator[RunEvent, None]:
        """Events of ``run`` (0: all) after number ``after``, until it has ended; survives a restart of the server.

        What befalls the server and its clients meanwhile comes too (``run`` 0).
        """
        tries = self._backoff.tries()
        while True:
            request = pb.WatchRequest(run=run, after=after, follow=follow)
            try:
                async with aclosing(self._channel.stream(methods.WATCH, request)) as events:
                    async for event in events:
                        tries.progressed()
                        after = event.number
                        data = msgspec.json.decode(event.json)
                        yield RunEvent(event.number, event.at, event.run, event.kind, data)
                        if run and event.run == run and event.kind in ENDED:
                            return
                return
            except (Unreachable, MachineFault) as error:  # away, or its ledger is held: the run may go on all the same
                await tries.pause(error)

    async def fetch(self, path: str, size: int, digest: str, into: Path, progress: Progress | None = None) -> None:
        """A file of the server's to ``into``, as ``list_files -d`` has told of it; goes on from what is there."""
        file = pb.FileRef(digest=digest, size=size, place=path)
        await pull(self._channel, file, into, self._backoff, progress)

    async def model(self, run: int, which: str, into: Path, progress: Progress | None = None) -> dict[str, Any]:
        """Fetch a version of the run's model (``best``, ``last`` or a number) to ``into``; returns its ledger entry."""
        found = await self.facts("list_models", str(run))
        models = {str(model["version"]): model for model in found["models"]}
        if not models:
            raise NotFound(f"run {run} has no model yet")
        name = {"last": str(max(int(version) for version in models)), "best": str(found["best"])}.get(which, which)
        if which == "best" and found["best"] is None:
            raise NotFound(f"run {run} has no best model", hint="set best_metric in the job, or ask for --last")
        if name not in models or not models[name]["kept"]:
            kept = ", ".join(version for version, model in models.items() if model["kept"])
            raise NotFound(f"version {name} of run {run} is not kept", hint=f"kept: {kept}")
        model: dict[str, Any] = models[name]
        file = pb.FileRef(digest=model["digest"], size=model["size"])
        await pull(self._channel, file, into, self._backoff, progress)
        return model


def problems(rows: Iterable[Row]) -> RondoError | None:
    """The first error that a site answered with."""
    for row in rows:
        if isinstance(row, Problem):
            return by_code(row.code, row.error, where=row.site)
    return None


def outcome(event: RunEvent) -> None:
    """Raise what the last event of a run says: nothing, ``RunFailed`` with the first failure, ``RunAborted``."""
    if event.kind == "run_failed":
        raise RunFailed.of(event.data)
    if event.kind == "run_aborted":
        raise RunAborted(str(event.data.get("error", "aborted")))


@asynccontextmanager
async def open_session(kit: Kit, version: str) -> AsyncIterator[AdminSession]:
    """A session that is not logged in yet; it says goodbye at the end if it was by then."""
    async with open_channel(kit, kit.admin_port) as channel:
        try:
            yield AdminSession(kit, channel, version)
        finally:
            if channel.token:
                goodbye = asyncio.ensure_future(channel.call(methods.QUIT, pb.Quit(reason="bye"), timeout=2.0))
                await asyncio.gather(goodbye, return_exceptions=True)


@asynccontextmanager
async def log_in(kit: Kit, version: str, patience: float = 0.0) -> AsyncIterator[AdminSession]:
    """A session with the server that the kit names; raises as ``AdminSession.register`` does."""
    async with open_session(kit, version) as session:
        await session.register(patience=patience)
        yield session
