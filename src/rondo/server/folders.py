"""The staging area and the folders ``run_N`` (``commands.desk.Folders``)."""

from __future__ import annotations

import asyncio

from rondo.base.disk import remove_folder
from rondo.base.errors import Conflict, RondoError
from rondo.commands.desk import FileLine
from rondo.jobs.facts import PackageFacts, package_facts
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import events, numbers, runs, turns
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Deployment
from rondo.server.asking import Asking
from rondo.server.downloads import STAGING, files_at
from rondo.server.store import Store


class RunFolders:
    """One per command. The package that its rights were looked at for is the one it works with, or none."""

    def __init__(self, store: Store, asking: Asking) -> None:
        self._store = store
        self._asking = asking
        self._seen: dict[str, str] = {}  # staged folder -> digest

    async def number(self) -> int | None:
        value = await self._store.read(events.setting, turns.NUMBER)
        return int(value) if value else None

    async def staged(self, folder: str) -> str:
        await self._store.read(runs.see_staged, folder)
        return str(self._store.folder / "transfer" / folder)

    async def facts(self, folder: str) -> PackageFacts:
        """What a site's rules ask about the staged folder. Raises ``NotFound``."""

        async def look() -> PackageFacts:
            package, path = await self._store.read(runs.see_staged, folder), self._store.folder / "transfer" / folder
            archive = self._store.blobs.local(package.digest)
            await asyncio.to_thread(unpack_once, archive, package.digest, path)  # unless it lies there
            self._seen[folder] = package.digest
            return await asyncio.to_thread(package_facts, path)

        return await self._store.in_folders(look)

    def see_same(self, tx: Tx, folder: str) -> None:
        """Raises ``Conflict`` where somebody has uploaded another package since rights were looked at."""
        digest = runs.see_staged(tx, folder).digest
        if self._seen.get(folder, digest) != digest:
            raise Conflict(f"{folder} was uploaded anew meanwhile", hint="give the command again")

    async def transfer(self) -> str:
        return str(self._store.folder / STAGING)

    async def files(self, path: str, digests: bool) -> list[FileLine]:
        return await asyncio.to_thread(files_at, self._store.folder, path, digests)

    async def set_number(self, number: int) -> bool:
        existed = await self._store.do(turns.choose, number)
        folder = self._store.run_folder(number)
        existed = existed or folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        return existed

    async def delete_number(self, number: int) -> bool:
        async def delete() -> bool:
            for digest in await self._store.do(numbers.forget, number, self._store.clock.now()):
                await asyncio.to_thread(self._store.blobs.delete, digest)
            return await asyncio.to_thread(remove_folder, self._store.run_folder(number), "server")

        return await self._store.in_folders(delete)  # before anybody deploys to this number again

    async def deploy_server(self, folder: str) -> None:
        await self._deploy(folder, "server")

    async def deploy_client(self, folder: str, client: str) -> None:
        given, earlier = await self._deploy(folder, client)  # now it may fetch the package
        args = [str(given.number), folder, given.package, str(given.package_size), given.voucher]
        try:
            await self._asking.ask(client, "deploy", args)
        except (RondoError, asyncio.CancelledError):
            await asyncio.shield(self._store.do(turns.undeploy, given, earlier))
            raise

    async def _deploy(self, folder: str, target: str) -> tuple[Deployment, Deployment | None]:
        """Write down and unpack here what ``target`` is to run; returns that, and what was there before."""

        def decide(tx: Tx) -> tuple[Deployment, Deployment | None]:
            self.see_same(tx, folder)
            return turns.deploy(tx, self._store.clock.now(), folder, target)

        async def deploy() -> tuple[Deployment, Deployment | None]:
            given, earlier = await self._store.do(decide)
            copy = self._store.run_folder(given.number) / f"mmar_{target}"
            try:
                await asyncio.to_thread(unpack_once, self._store.blobs.local(given.package), given.package, copy)
            except RondoError:
                await self._store.do(turns.undeploy, given, earlier)
                raise
            return given, earlier

        return await self._store.in_folders(deploy)
