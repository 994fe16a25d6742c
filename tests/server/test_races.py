"""Several admins at once: one outcome, which the ledger tells, and the files are what the ledger says they are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from rondo.base.errors import Conflict, RondoError
from rondo.jobs.package import pack
from rondo.jobs.unpacked import is_unpacked
from rondo.ledger import events, runs
from rondo.ledger.runs import Package
from tests.real.world import write_job
from tests.server.house import House, house


async def stage(made: House, job: Path) -> Package:
    """The job in this folder is uploaded."""
    file = await asyncio.to_thread(pack, job, made.store.folder / f"{job.name}.zip")
    made.store.blobs.adopt(file.path, file.digest)
    package = Package(job.name, file.digest, file.size, "lead@hub.org", 0.0)
    await made.store.do(runs.stage, package)
    return package


async def at_once(*deeds: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each gave, or the error that it was refused with."""
    done = await asyncio.gather(*deeds, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException) and not isinstance(one, RondoError):
            raise one
    return done


async def test_of_many_who_start_the_server_one_does(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        await stage(made, write_job(tmp_path / "job"))
        await made.desk.folders.set_number(1)
        await made.desk.folders.deploy_server("job")
        done = await at_once(*(made.desk.runs.start("refuse") for _ in range(8)))
        (started,) = [one for one in done if isinstance(one, int)]
        refused = [one for one in done if isinstance(one, Conflict)]
        assert [str(one) for one in refused] == [
            f"Server training has already been started: run {started}. (abort server, or --when-busy queue)"
        ] * 7
        kinds = [event.kind for event in await made.store.read(events.after, 0, started)]
        assert kinds == ["run_submitted"]
        queued = await at_once(*(made.desk.runs.start("queue") for _ in range(3)))
        assert sorted(queued) == [started + 1, started + 2, started + 3]


async def test_what_is_started_is_what_was_deployed(tmp_path: Path) -> None:
    """Whoever deploys while somebody starts is before or after: no run ever works with a half of each."""
    async with house(tmp_path / "w") as made:
        packages = [await stage(made, write_job(tmp_path / name, num_rounds=n)) for n, name in enumerate("abc", 1)]
        await made.desk.folders.set_number(1)
        await made.desk.folders.deploy_server("a")
        code = made.store.run_folder(1) / "mmar_server"
        for _ in range(6):
            deeds = [*(made.desk.folders.deploy_server(name) for name in "bca"), made.desk.runs.start("refuse")]
            run = (await at_once(*deeds))[-1]
            there = await made.store.read(runs.deployed, 1, "server")
            assert there is not None and is_unpacked(there.package, code)
            if isinstance(run, int):
                row = await made.store.read(runs.get, run)
                assert row is not None and row.package == there.package
                assert packages[row.num_rounds - 1].digest == row.package
                await made.desk.runs.abort(run)


async def test_a_number_that_is_in_use_is_not_deployed_to_nor_left(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        await stage(made, write_job(tmp_path / "job"))
        await made.desk.folders.set_number(1)
        await made.desk.folders.deploy_server("job")
        run = await made.desk.runs.start("refuse")
        with pytest.raises(Conflict, match="server is in training in run_1"):
            await made.desk.folders.deploy_server("job")
        with pytest.raises(Conflict, match="can not be changed during the FL app running"):
            await made.desk.folders.set_number(2)
        done = await at_once(*(made.desk.runs.abort(run) for _ in range(4)))
        assert [one for one in done if one == run] == [run] and len(
            [one for one in done if isinstance(one, Conflict)]
        ) == 3
        assert await made.desk.folders.set_number(2) is False


async def test_a_deployment_that_cannot_be_unpacked_is_none(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        good = await stage(made, write_job(tmp_path / "job"))
        await made.desk.folders.set_number(1)
        await made.desk.folders.deploy_server("job")
        bad = tmp_path / "bad.zip"
        bad.write_bytes(b"no archive")
        made.store.blobs.adopt(bad, "blake3:" + "ab" * 32)
        await made.store.do(runs.stage, Package("job", "blake3:" + "ab" * 32, 10, "lead@hub.org", 0.0))
        with pytest.raises(RondoError):
            await made.desk.folders.deploy_server("job")
        there = await made.store.read(runs.deployed, 1, "server")
        assert there is not None and there.package == good.digest
