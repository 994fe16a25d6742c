"""Commands to clients: answered, or withdrawn, but never carried out late (T8)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from rondo.base.clock import ManualClock
from rondo.base.errors import Conflict, RunAborted, Unreachable
from rondo.jobs.package import pack
from rondo.ledger import asks, events, runs
from rondo.ledger import sessions as rows
from rondo.ledger.runs import Deployment, Package
from rondo.server.asking import DEFAULT_TIMEOUT, TIMEOUT
from tests.real.world import write_job
from tests.server.house import House, house


async def staged(made: House, job: Path) -> Deployment:
    """The job in this folder, deployed to the server and to client a of run number 1."""
    file = await asyncio.to_thread(pack, job, made.store.folder / "package.zip")
    made.store.blobs.adopt(file.path, file.digest)
    await made.store.do(runs.stage, Package("job", file.digest, file.size, "lead@hub.org", 0.0))
    await made.desk.folders.set_number(1)
    deployment = Deployment(1, "a", "job", file.digest, file.size, 0.0)
    await made.store.do(runs.deploy, deployment)
    return deployment


async def leave_alone(made: House, command: Coroutine[Any, Any, None]) -> None:
    """An admin gives a command to client a and goes away before anybody has answered."""
    asking, ticket = asyncio.create_task(command), made.store.bell.ticket("client:a")
    async with asyncio.timeout(10):
        await made.store.bell.wait("client:a", ticket)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_command_is_withdrawn_when_its_admin_goes_away(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        await staged(made, write_job(tmp_path / "job"))
        await made.client("a")
        await leave_alone(made, made.desk.folders.deploy_client("job", "a"))
        assert await made.store.read(asks.pending, "a", []) is None

        await leave_alone(made, made.desk.clients.leave("a", "shutdown"))
        assert [session.leave for session in await made.store.read(rows.present)] == [""]

        run = await made.run(tmp_path / "job", state="running")
        await leave_alone(made, made.desk.runs.start_client("a"))
        part = await made.store.read(runs.participant, run, "a")
        assert part is not None
        assert part.state == "stopped"


async def test_who_gives_up_is_told_that_it_has_begun(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path / "w", clock=clock) as made:
        await staged(made, write_job(tmp_path / "job"))
        await made.client("a")
        ticket = made.store.bell.ticket("client:a")
        asking = asyncio.create_task(made.desk.folders.deploy_client("job", "a"))
        async with asyncio.timeout(10):
            await made.store.bell.wait("client:a", ticket)
        question = await made.store.read(asks.pending, "a", [])
        assert question is not None and await made.store.do(asks.begin, question.id, "a")
        clock.advance(DEFAULT_TIMEOUT + 1)
        made.store.bell.ring("answers:a")
        with pytest.raises(Unreachable, match=r"No replies \(it has begun, and may be done\)"):
            await asking
        assert not await made.store.do(asks.begin, question.id, "a")


async def test_who_starts_a_client_hears_at_once_that_the_run_is_over(tmp_path: Path) -> None:
    async with house(tmp_path / "w", clock=ManualClock()) as made:  # no command ever times out
        await staged(made, write_job(tmp_path / "job"))
        await made.client("a")
        run, ticket = await made.run(tmp_path / "job", state="running"), made.store.bell.ticket("client:a")
        starting = asyncio.create_task(made.desk.runs.start_client("a"))
        async with asyncio.timeout(DEFAULT_TIMEOUT / 2):
            await made.store.bell.wait("client:a", ticket)
            await made.desk.runs.abort(run)
            with pytest.raises(RunAborted, match=r"aborted by lead@hub\.org"):
                await starting


async def test_a_command_that_nobody_answers_is_withdrawn(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        await staged(made, write_job(tmp_path / "job"))
        await made.client("a")
        await made.store.do(events.put_setting, TIMEOUT, "0.01")
        with pytest.raises(Unreachable, match="No replies"):
            await made.desk.folders.deploy_client("job", "a")
        assert await made.store.read(asks.pending, "a", []) is None
        with pytest.raises(Unreachable, match="No replies"):
            await made.desk.clients.leave("a", "shutdown")
        assert [session.leave for session in await made.store.read(rows.present)] == [""]


async def test_a_package_that_was_not_looked_at_is_not_deployed(tmp_path: Path) -> None:
    """Rights were looked at for one package; another admin uploads another one under its name before it is used."""
    async with house(tmp_path / "w") as made:
        await staged(made, write_job(tmp_path / "job"))
        assert (await made.desk.folders.facts("job")).byoc
        await staged(made, write_job(tmp_path / "job", num_rounds=7))
        for command in (
            made.desk.folders.deploy_server("job"),
            made.desk.folders.deploy_client("job", "a"),
            made.desk.runs.submit("job", "refuse"),
        ):
            with pytest.raises(Conflict, match="job was uploaded anew meanwhile"):
                await command
        assert await made.store.read(runs.listed) == []
