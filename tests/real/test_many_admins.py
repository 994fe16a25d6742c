"""Many admins at once at one server, each over a TLS connection of their own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import psutil

from rondo.base.errors import Conflict, NotFound, RunAborted
from rondo.console.session import AdminSession, log_in
from rondo.rounds.states import MOVES
from rondo.simulator.local import ADMIN, SERVER
from tests.real.gates import command, gated_job, gates
from tests.real.line import MIB
from tests.real.world import LONG, World, world

ADMINS = 200


async def sessions(made: World, stack: AsyncExitStack, count: int) -> list[AdminSession]:
    """So many admins are logged in until the stack ends."""
    opened = (stack.enter_async_context(log_in(made.admin_kit, "test", LONG)) for _ in range(count))
    return list(await asyncio.gather(*opened))


async def connections(made: World, most: int) -> None:
    """Until the server has at most so many open; each look is a question that it answers."""
    process = psutil.Process(made.pid(SERVER))
    async with asyncio.timeout(LONG):
        while process.num_fds() > most:
            await made.session.facts("check_status", "server")


async def test_two_hundred_admins_ask_and_watch(tmp_path: Path) -> None:
    async with (
        gates(tmp_path / "data", ("a", 0)) as (gate,),
        world(tmp_path / "w", {"a": tmp_path / "data"}) as made,
    ):
        server = psutil.Process(made.pid(SERVER))
        held: list[int] = []
        for _ in range(2):
            before = server.num_fds()
            async with AsyncExitStack() as stack:
                admins = await sessions(made, stack, ADMINS)
                run = await made.session.submit(gated_job(tmp_path / "job", min_clients=1, num_rounds=1))
                await gate.reached()

                async def work(admin: AdminSession, run: int = run) -> list[str]:
                    for _ in range(3):
                        assert (await admin.facts("check_status", "server"))["run"]["id"] == run
                    return [
                        event.kind async for event in admin.watch(run) if event.run == run and event.kind != "progress"
                    ]

                working = [asyncio.create_task(work(admin)) for admin in admins]
                await asyncio.gather(*(admin.facts("list_runs") for admin in admins))
                assert server.num_fds() - before >= ADMINS, "each has a connection"
                gate.open()
                seen = await asyncio.gather(*working)
                assert seen == [seen[0]] * ADMINS and seen[0][-1] == "run_finished"
            await connections(made, before + 5)
            held.append(server.memory_info().rss)
        assert held[1] - held[0] < 16 * MIB, "the second two hundred found room where the first had been"


KINDS = (
    "start server", "start server", "start client", "start client a", "abort server", "abort client",
    "deploy study server", "set_run_number 2", "delete_run_number 1", "submit_job study --when-busy refuse",
    "start server --when-busy queue",
)  # fmt: skip


async def test_whatever_many_admins_decide_at_once_one_outcome_is_told(tmp_path: Path) -> None:
    async with (
        gates(tmp_path / "data", ("a", 0), ("bb", 0)) as at,
        world(tmp_path / "w", dict.fromkeys(("a", "bb"), tmp_path / "data")) as made,
        AsyncExitStack() as stack,
    ):
        admins = await sessions(made, stack, len(KINDS))
        study = gated_job(made.workspaces[ADMIN] / "transfer" / "study", num_rounds=1)
        for _ in range(3):
            for line in (f"upload_folder {study}", "set_run_number 1", "deploy study server", "deploy study client"):
                await command(made.session, line)
            done = await asyncio.gather(*(said(admin, "start server") for admin in admins[:4]))
            assert sorted(done) == ["", "", "", "start server"]
            await command(made.session, "abort server")
            done = await asyncio.gather(*map(said, admins, KINDS))
            assert done.count("start server") <= 1 + done.count("abort server"), "the second of two is refused"
            for run in await open_runs(made):
                await command(made.session, f"abort_run {run}")
        told: dict[int, list[str]] = {}
        async for event in made.session.watch(follow=False):
            state = event.kind.removeprefix("run_")
            if state in MOVES:
                told.setdefault(event.run, []).append(state)
        for path in told.values():
            assert path[0] == "submitted" and MOVES[path[-1]] == ()
            assert all(after in MOVES[before] for before, after in pairwise(path)), path

        # Nothing of it is left, and all are ready for the next run.
        next_run = await made.session.submit(study)
        for gate in at:
            await gate.reached()
            gate.open()
        assert (await made.ended(next_run))[-1].kind == "run_finished"


async def said(admin: AdminSession, line: str) -> str:
    """The line where it was done, and "" where it was refused, in whole or by a site: nothing else may come of it."""
    try:
        return line if not (await command(admin, line))["problems"] else ""
    except (Conflict, NotFound, RunAborted):
        return ""


async def open_runs(made: World) -> list[int]:
    runs = (await made.session.facts("list_runs"))["runs"]
    return [run["id"] for run in runs if MOVES[run["state"]]]
