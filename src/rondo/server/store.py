"""What survives a kill -9, in one value: ledger, blobs, folders; and the bell that wakes whoever waits for a change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from rondo.base.clock import Clock
from rondo.blobs.seam import BlobStore
from rondo.ledger import events, runs
from rondo.ledger.bell import Bell
from rondo.ledger.ledger import Ledger, Tx
from rondo.server.room import Room
from rondo.tensors.digest import parse_digest

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    ledger: Ledger
    blobs: BlobStore
    bell: Bell
    clock: Clock
    folder: Path  # the server's workspace
    room: Room  # on the disk of the workspace
    durable: bool = False  # what counts survives a loss of power, not only the end of this process
    _unpacking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def do(self, operation: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction; whoever follows events is woken after it."""
        value = await self.ledger.do(operation, *args, **kwargs)
        self.bell.ring("events")
        return value

    async def read(self, operation: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction of which nobody who follows events hears."""
        return await self.ledger.do(operation, *args, **kwargs)

    async def record(self, run: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
        await self.do(events.record, self.clock.now(), run, kind, data)

    async def wake_participants(self, run: int) -> None:
        """Ring for every client of ``run``: its waiting call is answered anew."""
        self.bell.ring(*(f"client:{p.client}" for p in await self.read(runs.taking_part, run)))

    async def wake_over(self, run: int) -> None:
        """``run`` is over: ring for all whom that concerns, also who waits for an answer of one of its clients."""
        self.bell.ring("runs", f"run:{run}")
        for part in await self.read(runs.taking_part, run):
            self.bell.ring(f"client:{part.client}", f"answers:{part.client}")

    async def in_folders(self, work: Callable[[], Awaitable[T]]) -> T:
        """Change what lies in the staging area or a run folder: one after the other, each to its end, also where
        whoever asked for it waits no more."""

        async def alone() -> T:
            async with self._unpacking:
                return await work()

        return await asyncio.shield(alone())

    def run_folder(self, number: int) -> Path:
        return self.folder / f"run_{number}"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def upload(self, client: str, digest: str) -> Path:
        """Where a file from ``client`` is spooled, and stays until the round it belongs to is committed."""
        return self.spool / client / parse_digest(digest)
