"""kill -9 at every step of a round: the run goes on by itself, nothing counts twice, the bits are the same."""

from __future__ import annotations

import json
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
ADAM = {"name": "fedopt", "variant": "adam", "learning_rate": 0.5, "tau": 0.125}
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


@pytest.mark.parametrize("point", ["while folding", "after folding", "before the commit", "after the commit"])
async def test_server_killed_while_an_optimizer_remembers(point: str, tmp_path: Path) -> None:
    """What it remembers of the rounds before and the model stay those of one round."""
    folder = write_job(tmp_path / "noise", toml=BIG + CLIENT, num_rounds=ROUNDS, best_metric="mean")
    text = (folder / "job.toml").read_text()
    table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in ADAM.items())
    (folder / "job.toml").write_text(text.replace("[server]", f"[server]\naggregator = {{ {table} }}"))
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly(point, 3)}) as made:
        run = await made.session.submit(folder)
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        assert await result(made, run, await made.ended(run)) == by_adam(tmp_path)
        kept = [m for m in (await made.session.facts("list_models", str(run)))["models"] if m["kept"]]
        memories = [m["provenance"]["memory"] for m in kept if "memory" in m["provenance"]]
        wanted = {file["digest"].partition(":")[2] for file in kept + memories}
        files = {path.name for path in made.workspaces[SERVER].rglob("blobs/??/*")}
        assert memories and wanted < files and len(files - wanted) == 1, "the job's package, and no old file"
        assert not list(made.workspaces[SERVER].rglob("spool/.memory-*"))


def by_adam(folder: Path) -> str:
    """As ``expected``, with the step of Reddi et al. 2020, algorithm 2."""
    import numpy as np

    from rondo.jobs.task import derive_seed
    from rondo.tensors.files import write_tensors

    weights = m = np.zeros(1_000_000, np.float32)
    v = np.full(1_000_000, 0.125**2, np.float32)
    for number in range(ROUNDS):
        total = np.zeros(1_000_000, np.float64)
        for site, samples in {"a": 11.0, "bb": 12.0}.items():
            noise = np.random.default_rng(derive_seed("test", site, number)).normal(size=weights.shape)
            total += (weights + noise.astype(np.float32)).astype(np.float64) * samples
        change = total / 23.0 - weights
        first = 0.9 * m.astype(np.float64) + (1 - 0.9) * change
        second = 0.99 * v.astype(np.float64) + (1 - 0.99) * change**2
        weights = (weights + 0.5 * first / (np.sqrt(second) + 0.125)).astype(np.float32)
        m, v = first.astype(np.float32), second.astype(np.float32)
    tensors = {"w": weights, "n": np.array(ROUNDS, np.int64)}
    return write_tensors(folder / "expected.safetensors", tensors).digest
