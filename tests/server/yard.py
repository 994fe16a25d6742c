"""A server's workspace in which things lie about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rondo.base.clock import ManualClock
from rondo.blobs.seam import BlobStore
from rondo.ledger import models, rounds, runs
from rondo.ledger.models import OfferRow
from rondo.ledger.tables import metadata
from rondo.policy.policy import OpenPolicy
from rondo.server.sweeping import sweep
from rondo.tensors.digest import FileInfo, file_digest
from rondo.wire import rondo_pb2 as pb
from tests.ledger.rows import contribution
from tests.server.house import House, house

NOW = 1e9  # seconds since the epoch, by the clock of a yard


class Yard(House):
    """A house in which things lie about."""

    def put(self, name: str, content: bytes = b"") -> Path:
        """A file in the workspace."""
        path = self.store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or name.encode())
        return path

    def blob(self, content: str) -> FileInfo:
        """A file in the blob store."""
        file = file_digest(self.put("arrived", content.encode()))
        self.store.blobs.adopt(file.path, file.digest)
        return replace(file, path=self.store.blobs.local(file.digest))

    def spooled(self, client: str, content: str, suffix: str = "") -> FileInfo:
        """What ``client`` has sent of a file with this content."""
        file = file_digest(self.put("arrived", content.encode()))
        path = self.store.upload(client, file.digest)
        path = path.with_name(path.name + suffix)
        path.parent.mkdir(exist_ok=True)
        file.path.rename(path)
        return replace(file, path=path)

    async def counted(self, run: int, number: int, client: str, **values: Any) -> FileInfo:
        """An update that counts in that round, which is opened where it is not."""
        file = self.spooled(client, f"update of {client} in round {number} of run {run}")
        key = (run, number, "train")
        await self.store.do(rounds.open_round, key, number, 1.0)
        if await self.store.read(runs.participant, run, client) is None:
            row = await self.store.read(runs.get, run)
            assert row is not None
            await self.store.do(runs.invite, run, client, row, 1.0)
        about = {"digest": file.digest, "size": file.size, **values}
        assert await self.store.do(rounds.accept, contribution(key, client, **about)) == ""
        return file

    async def offered(self, client: str, file: FileInfo, at: float = NOW, **what: Any) -> None:
        """The row of an upload that was begun."""
        offer = pb.Offer(file=pb.FileRef(digest=file.digest, size=file.size), **what)
        row = OfferRow(f"{client} {file.digest}", client, file.digest, file.size, offer.SerializeToString(), at)
        await self.store.do(models.put_offer, row)

    async def keys(self, table: str) -> list[str]:
        """The first column of a table."""
        return sorted(await self.store.read(lambda tx: [row[0] for row in tx.execute(metadata.tables[table].select())]))

    def files(self) -> set[str]:
        """Every file of the workspace but the ledger's."""
        paths = (path for path in self.store.folder.rglob("*") if path.is_file() or path.is_symlink())
        return {str(path.relative_to(self.store.folder)) for path in paths if "ledger" not in path.name}


@asynccontextmanager
async def open_yard(folder: Path, blobs: BlobStore | None = None) -> AsyncIterator[Yard]:
    """With its workspace bound to its ledger, as after the first start of a server."""
    async with house(folder, blobs=blobs, clock=ManualClock(NOW)) as made:
        await sweep(made.store)
        yield Yard(made.store, OpenPolicy())
