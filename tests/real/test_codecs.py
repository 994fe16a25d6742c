"""Runs whose files travel coded: the same bits whatever is killed, old clients told why they are not invited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rondo.aggregate.folding import fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.base.errors import BadInput
from rondo.codecs.coding import Feedback, decode, encode
from rondo.codecs.seam import build_codec
from rondo.filters.chain import UpdateFile, run_chain
from rondo.jobs.task import derive_seed
from rondo.simulator.local import SERVER
from rondo.tensors.files import TensorFile, write_tensors
from tests.real.door import Door
from tests.real.hostile import refused, stranger
from tests.real.test_nothing_lost import ROUNDS, deadly, result
from tests.real.world import world, write_job

COUNT = 250_000
SAMPLES = {"a": 11.0, "bb": 12.0}


def job(folder: Path, *, final_validation: bool = True, **ways: str) -> Path:
    toml = (
        f'[model]\nfunction = "work:new_model"\nargs = {{ count = {COUNT} }}\n'
        '[client]\ntrainer = { name = "function", class = "work:Clinic" }\n[transfer]\n'
    )
    toml += "".join(f'{way} = "{codec}"\n' for way, codec in ways.items())
    return write_job(folder, toml=toml, num_rounds=ROUNDS, final_validation=final_validation)


def expected(folder: Path) -> str:
    """What int8 up and bf16 down come to: by the same arithmetic, without Rondo's server, clients and workers.

    The sites start from what bf16 left of the model and send int8 differences, with feedback; they are added to the
    model itself.
    """
    up, down = build_codec("int8", {}), build_codec("bf16", {})
    model = write_tensors(folder / "0", {"w": np.zeros(COUNT, np.float32), "n": np.array(0, np.int64)}).path
    before: dict[str, Path | None] = dict.fromkeys(SAMPLES)
    for number in range(ROUNDS):
        received = decode(down, encode(down, model, folder / "sent").path, folder / "received").path
        sent = []
        for site, samples in SAMPLES.items():
            noise = np.random.default_rng(derive_seed("test", site, number)).normal(size=COUNT).astype(np.float32)
            with TensorFile(received) as file:
                trained = write_tensors(folder / "trained", {"w": file["w"] + noise, "n": file["n"] + 1}).path
            diff = run_chain(received, UpdateFile(trained, "weights"), [], 0, folder / "diff").file.path
            after = folder / f"lost-{site}-{number}"
            coded = encode(up, diff, folder / "coded", Feedback(before[site], after)).path
            before[site] = after
            sent.append(Contribution(site, decode(up, coded, folder / f"plain-{site}").path, "diff", samples))
        model = fold(model, sent, build_rule("mean", {}), folder / str(number + 1)).model.path
    return fold_digest(model)


def fold_digest(path: Path) -> str:
    with TensorFile(path) as file:
        return write_tensors(path.with_name("again"), file).digest


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return expected(tmp_path_factory.mktemp("undisturbed"))


async def test_a_coded_run_is_what_the_arithmetic_says(tmp_path: Path, undisturbed: str) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        run, events = await made.run(job(tmp_path / "job", up="int8", down="bf16"))
        assert await result(made, run, events) == undisturbed
        sizes = [event.data["size"] for event in events if event.kind == "update_accepted" and event.data["size"]]
        assert len(sizes) == 2 * ROUNDS and max(sizes) < 1.1 * COUNT
        assert list((made.workspaces[SERVER] / "spool").glob(".*")) == []
        # Who asks for the model gets the model itself, not what clients are sent.
        entry = await made.session.model(run, "last", tmp_path / "last.safetensors")
        assert entry["digest"] == undisturbed
        # Of older versions nothing is left: the last one and what was sent for it.
        blobs = [path for path in (made.workspaces[SERVER] / "blobs").rglob("*") if path.is_file()]
        assert sorted(path.stat().st_size // COUNT for path in blobs if path.stat().st_size > COUNT) == [2, 4]


@pytest.mark.parametrize("point", ["before it sends", "after it sent"])
async def test_client_killed(point: str, tmp_path: Path, undisturbed: str) -> None:
    """In the second round, where its update has a loss to add, and before it can know whether it counted."""
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={"a": deadly(point, 2)}) as made:
        run = await made.session.submit(job(tmp_path / "job", up="int8", down="bf16"))
        assert await made.wait("a") == -9, "the client did not come to the point"
        await made.start("a")
        assert await result(made, run, await made.ended(run)) == undisturbed


@pytest.mark.parametrize("point", ["after it is spooled", "after folding", "before the commit"])
async def test_server_killed(point: str, tmp_path: Path, undisturbed: str) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly(point, 2)}) as made:
        run = await made.session.submit(job(tmp_path / "job", up="int8", down="bf16"))
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        assert await result(made, run, await made.ended(run)) == undisturbed


async def test_lossless_codecs_change_no_bit(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        plain, events = await made.run(job(tmp_path / "plain"))
        without = await result(made, plain, events)
        coded, events = await made.run(job(tmp_path / "coded", up="planes", down="planes"))
        assert await result(made, coded, events) == without


async def test_a_client_that_does_not_know_the_codec_is_not_invited(tmp_path: Path) -> None:
    why = "its Rondo test does not know the codec bf16 and topk: upgrade the client"
    # It says nothing of what it can, as clients did before there were codecs.
    async with (
        world(tmp_path / "w", {"a": None, "bb": None, "old": None}, absent=["old"]) as made,
        Door(made).logged_in("old"),
    ):
        folder = job(tmp_path / "job", up="topk", down="bf16")
        _, events = await made.run(folder)
        assert events[-1].kind == "run_finished"
        (told,) = [event.data for event in events if event.kind == "client_not_invited"]
        assert told == {"client": "old", "reason": why}


async def test_a_job_that_asks_for_what_is_not_there_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        for ways, says in (
            ({"up": "int7"}, r"job.toml \[transfer\] up: no 'int7' in codecs \(did you mean 'int8'\?\)"),
            ({"down": "int8"}, r"job.toml \[transfer\] down: int8 is for updates only"),
        ):
            with pytest.raises(BadInput, match=says):
                await made.session.submit(job(tmp_path / f"job-{len(says)}", **ways))


async def test_what_is_no_coded_difference_does_not_count(tmp_path: Path) -> None:
    async with (
        world(tmp_path / "w", {"a": None, "liar": None}, absent=["liar"]) as made,
        stranger(made.workspaces["liar"]) as liar,
    ):
        run = await made.session.submit(job(tmp_path / "job", up="int8", final_validation=False))
        await liar.take_part(run)
        for number in range(ROUNDS):
            work = await liar.work()
            plain = await liar.pull(work.model)
            assert "wants differences" in (await refused(liar.send(plain, round=number))).what
            assert "is not coded" in (await refused(liar.send(plain, round=number, kind="diff"))).what
            (tmp_path / "plain").write_bytes(plain)
            codec = build_codec("int8", {})
            coded = encode(codec, tmp_path / "plain", tmp_path / "coded", Feedback(None, tmp_path / "x")).path
            honest = coded.read_bytes()
            lie = honest[:-300] + b"\x80" * 300
            assert "coded tensor 'w'" in (await refused(liar.send(lie, round=number, kind="diff"))).what
            assert "ends too early" in str(await refused(liar.send(honest[:-1], round=number, kind="diff")))
            await liar.send(honest, round=number, kind="diff")
        assert (await made.until("run_finished", run)).data is not None
