"""Many clients at once: one run, every client counted once, and a server that holds none of their updates."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rondo.simulator.local import RONDO, SERVER
from tests.real.line import ADDING, MIB, added, adding
from tests.real.watching import most_memory
from tests.real.world import World, world, write_job

CLIENTS = 64
PROCESSES = 2  # that hold the clients; each client has a worker of its own
SIZE = 8  # MiB of the model


@asynccontextmanager
async def crowds(made: World, names: Sequence[str]) -> AsyncIterator[None]:
    """Real clients, a few processes for all; they say goodbye at the end."""
    shares = [[str(made.workspaces[name]) for name in names[first::PROCESSES]] for first in range(PROCESSES)]
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.real.crowd", *share) for share in shares
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        ended = [await process.wait() for process in processes]
    assert ended == [0] * PROCESSES


async def test_sixty_four_clients_at_once(tmp_path: Path) -> None:
    names = [f"site-{number}" for number in range(CLIENTS)]
    async with world(tmp_path / "w", dict.fromkeys(names), absent=names) as made, crowds(made, names):
        await made.logged_in(*names)
        before = most_memory(made.pid(SERVER))
        job = write_job(
            tmp_path / "job", code=ADDING, toml=adding(SIZE), min_clients=CLIENTS, num_rounds=1, final_validation=False
        )
        run, events = await made.run(job)
        assert events[-1].kind == "run_finished", events[-1]
        counted = Counter(event.data["client"] for event in events if event.kind == "update_accepted")
        assert counted == dict.fromkeys(names, 1)
        assert await made.digest(run, 1) == added(tmp_path, SIZE, rounds=1)
        # Two of them move at a time, and of those only what is under way is in memory.
        assert most_memory(made.pid(SERVER)) - before < 200 * MIB


async def test_a_server_has_room_for_more_connections_than_its_shell_gives_it(tmp_path: Path) -> None:
    shell = ("sh", "-c", 'ulimit -Sn 256; ulimit -Hn 4096; exec "$@"', "sh")
    async with world(tmp_path / "w", {"a": None}, command={SERVER: (*shell, *RONDO)}) as made:
        assert resource.prlimit(made.pid(SERVER), resource.RLIMIT_NOFILE) == (4096, 4096)
