"""kill -9 at every step of a round: the run goes on by itself, nothing counts twice, the bits are the same."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from rondo.console.session import RunEvent
from rondo.simulator.local import SERVER
from tests.real.killpoint import POINTS
from tests.real.world import World, world, write_job

ROUNDS = 3
BIG = '[model]\nfunction = "work:new_model"\nargs = { count = 1000000 }\n'  # 4 MB: several chunks
CLIENT = '[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'
OF_SERVER = list(POINTS)[: list(POINTS).index("before it pulls")]
OF_CLIENT = list(POINTS)[len(OF_SERVER) :]


def deadly(point: str, nth: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.real.killpoint", point, str(nth))


def job(folder: Path) -> Path:
    return write_job(folder / "noise", toml=BIG + CLIENT, num_rounds=ROUNDS, best_metric="mean")


async def result(made: World, run: int, events: list[RunEvent]) -> str:
    """The digest of the last model, after a look at what counted: every client once in every round."""
    assert events[-1].kind == "run_finished", (events[-1], made.output(SERVER)[-3000:])
    counted = Counter(
        (event.data["client"], event.data["round"]) for event in events if event.kind == "update_accepted"
    )
    assert counted == {(client, number): 1 for client in made.layout.clients for number in range(ROUNDS + 1)}
    return await made.digest(run, ROUNDS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the last model of a run that nothing happened to, by the same arithmetic in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return expected(folder)


def expected(folder: Path) -> str:
    """What three rounds of seeded noise at a and bb come to: computed here, without Rondo's server or clients."""
    import numpy as np

    from rondo.jobs.task import derive_seed
    from rondo.tensors.files import write_tensors

    weights, samples = np.zeros(1_000_000, np.float32), {"a": 11.0, "bb": 12.0}
    for number in range(ROUNDS):
        total = np.zeros(1_000_000, np.float64)
        for site, weight in samples.items():
            noise = np.random.default_rng(derive_seed("test", site, number)).normal(size=weights.shape)
            total += (weights + noise.astype(np.float32)).astype(np.float64) * weight
        weights = (total / sum(samples.values())).astype(np.float32)
    tensors = {"w": weights, "n": np.array(ROUNDS, np.int64)}
    return write_tensors(folder / "expected.safetensors", tensors).digest


async def test_an_undisturbed_run_is_what_the_arithmetic_says(tmp_path: Path, undisturbed: str) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        run, events = await made.run(job(tmp_path))
        assert await result(made, run, events) == undisturbed


@pytest.mark.parametrize("point", OF_SERVER)
async def test_server_killed(point: str, tmp_path: Path, undisturbed: str) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly(point, 3)}) as made:
        run = await made.session.submit(job(tmp_path))
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        events = await made.ended(run)
        assert any(event.kind == "recovered" for event in events)
        assert await result(made, run, events) == undisturbed


@pytest.mark.parametrize("point", OF_CLIENT)
async def test_client_killed(point: str, tmp_path: Path, undisturbed: str) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={"a": deadly(point, 2)}) as made:
        run = await made.session.submit(job(tmp_path))
        assert await made.wait("a") == -9, "the client did not come to the point"
        await made.start("a")
        events = await made.ended(run)
        assert await result(made, run, events) == undisturbed
        clients = (await made.session.facts("check_status", "server"))["clients"]
        assert clients == ["a", "bb"], "it came back as another one"
