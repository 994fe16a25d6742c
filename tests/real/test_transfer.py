"""Transfers between processes that are killed at any moment, and what they cost in memory."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from rondo.tensors.digest import FileInfo, file_digest
from tests.net.certs import Authority
from tests.net.depot import Depot, write_file
from tests.net.programs import peak_mib
from tests.net.proxy import Proxy, Way
from tests.ports import free_port

MIB = 1 << 20
SIZE = 48 * MIB
ROOT = Path(__file__).parents[2]


class Site:
    """A folder with kits, a port for the server, and processes that are gone when the test is over."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority, self.port = folder, Authority(), free_port()
        (folder / "depot").mkdir()
        self.depot = Depot(folder / "depot")
        self.kit = self.authority.kit("server", port=self.port).save(folder / "server.json")

    @asynccontextmanager
    async def program(self, *arguments: str | Path) -> AsyncIterator[Process]:
        command = [sys.executable, "-m", "tests.net.programs", *map(str, arguments)]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
        try:
            assert await _line(process) == "ready"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Process]:
        async with self.program("serve", self.kit, self.depot.folder) as process:
            yield process

    @asynccontextmanager
    async def mover(self, proxy: Proxy, way: Way, file: FileInfo) -> AsyncIterator[Process]:
        """A client that moves ``file`` through ``proxy``, down or up."""
        kit = self.authority.kit("site", port=proxy.port).save(self.folder / "site.json")
        rest = ["push", kit, file.path] if way is Way.UP else ["pull", kit, file.digest, str(file.size), self.got]
        async with self.program(*rest) as process:
            yield process

    @property
    def got(self) -> Path:
        return self.folder / "got"

    def make(self, way: Way, size: int) -> FileInfo:
        return write_file(self.folder / "ours", size) if way is Way.UP else self.depot.add(size)

    def arrived(self, way: Way, file: FileInfo) -> FileInfo:
        return file_digest(self.depot.path(file.digest) if way is Way.UP else self.got)


def _beyond(proxy: Proxy, way: Way, count: float) -> bool:
    return proxy.passed[way] > count


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("way", list(Way))
async def test_a_killed_client_goes_on_where_it_was(site: Site, way: Way) -> None:
    file = site.make(way, SIZE)
    async with site.server(), Proxy(site.port, rate=100e6) as proxy:
        for part in (1, 2):
            async with site.mover(proxy, way, file) as client:
                await proxy.until(partial(_beyond, proxy, way, part * SIZE / 3))
                client.kill()
        async with site.mover(proxy, way, file) as client:
            assert float(await _line(client)) > 0
            assert await client.wait() == 0
    assert site.arrived(way, file).digest == file.digest
    assert proxy.passed[way] < SIZE + 2 * 8 * MIB, "what was under way when a process died may be sent again, no more"


@pytest.mark.parametrize("way", list(Way))
async def test_a_killed_server_is_only_a_pause(site: Site, way: Way) -> None:
    file = site.make(way, SIZE)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(site.server())
        proxy = await stack.enter_async_context(Proxy(site.port, rate=100e6))
        client = await stack.enter_async_context(site.mover(proxy, way, file))
        await proxy.until(partial(_beyond, proxy, way, SIZE / 2))
        server.kill()
        await server.wait()
        await stack.enter_async_context(site.server())
        assert float(await _line(client)) > 0
        assert await client.wait() == 0
    assert site.arrived(way, file).digest == file.digest
    assert proxy.passed[way] < SIZE + 8 * MIB


@pytest.mark.parametrize("way", list(Way))
async def test_memory_does_not_grow_with_the_file(site: Site, way: Way) -> None:
    big = site.folder / "big"
    with big.open("wb") as file:
        file.truncate(384 * MIB)  # a sparse file costs no disk
    made = file_digest(big)
    if way is Way.DOWN:
        big.rename(site.depot.path(made.digest))
    async with site.server() as server:
        kit = site.authority.kit("site", port=site.port).save(site.folder / "site.json")
        rest = ["push", kit, big] if way is Way.UP else ["pull", kit, made.digest, str(made.size), site.got]
        async with site.program(*rest) as client:
            peak = float(await _line(client))
            assert await client.wait() == 0
        assert peak < 100, "client, MiB"
        assert peak_mib(server.pid) < 100, "server, MiB"
    assert site.arrived(way, made).size == 384 * MIB
