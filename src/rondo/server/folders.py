"""The staging area and the folders ``run_N`` (``commands.desk.Folders``)."""

from __future__ import annotations

import asyncio

from rondo.base.errors import Conflict, NotFound, RondoError
from rondo.jobs.unpacked import unpack_once
from rondo.ledger import events, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.runs import Deployment
from rondo.rounds.orders import TAKING_PART
from rondo.server.asking import Asking
from rondo.server.store import Store

NUMBER = "run_number"


class RunFolders:
    def __init__(self, store: Store, asking: Asking) -> None:
        self._store = store
        self._asking = asking

    async def number(self) -> int | None:
        value = await self._store.read(events.setting, NUMBER)
        return int(value) if value else None

    async def staged(self, folder: str) -> str:
        package = await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        return str(self._store.folder / "transfer" / folder)

    async def set_number(self, number: int) -> bool:
        def write(tx: Tx) -> bool:
            if runs.open_runs(tx):
                raise Conflict("run_number can not be changed during the FL app running.", hint="abort server first")
            events.put_setting(tx, NUMBER, str(number))
            return runs.number_exists(tx, number)

        existed = await self._store.do(write)
        folder = self._store.run_folder(number)
        existed = existed or folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        return existed

    async def chosen(self) -> int:
        """The run number. Raises ``Conflict`` where none has been set."""
        number = await self.number()
        if number is None:
            raise Conflict("Please set a run number.", hint="set_run_number N")
        return number

    async def _deployment(self, folder: str, target: str) -> Deployment:
        number, package = await self.chosen(), await self._store.read(runs.staged, folder)
        if package is None:
            raise NotFound(f"no such folder: {folder}", hint="upload_folder first")
        if await self._store.read(_trains, number, target):
            raise Conflict(f"{target} is in training in run_{number}.", hint="abort it first, or set_run_number")
        now = self._store.clock.now()
        return Deployment(number, target, folder, package.digest, package.size, now, package.voucher)

    async def deploy_server(self, folder: str) -> None:
        deployment = await self._deployment(folder, "server")
        code = self._store.run_folder(deployment.number) / "mmar_server"
        await asyncio.to_thread(unpack_once, self._store.blobs.local(deployment.package), deployment.package, code)
        await self._store.do(runs.deploy, deployment)

    async def deploy_client(self, folder: str, client: str) -> None:
        deployment = await self._deployment(folder, client)
        copy = self._store.run_folder(deployment.number) / f"mmar_{client}"
        await asyncio.to_thread(unpack_once, self._store.blobs.local(deployment.package), deployment.package, copy)
        earlier = await self._store.read(runs.deployed, deployment.number, client)
        await self._store.do(runs.deploy, deployment)  # now it may fetch the package
        args = [str(deployment.number), folder, deployment.package, str(deployment.package_size), deployment.voucher]
        try:
            await self._asking.ask(client, "deploy", args)
        except RondoError:
            await self._store.do(runs.undeploy, deployment, earlier)
            raise


def _trains(tx: Tx, number: int, target: str) -> bool:
    """Is the code of run folder ``number`` at ``target`` in use?"""
    for run in runs.open_runs(tx):
        part = runs.participant(tx, run.id, target)
        if run.number == number and (target == "server" or (part is not None and part.state in TAKING_PART)):
            return True
    return False
