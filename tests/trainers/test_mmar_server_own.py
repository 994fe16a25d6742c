"""Persistor, generator, aggregator, filters and handlers of one's own at the server, unedited, in a real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.jobs.job import read_job
from rondo.tensors.files import TensorFile, write_tensors
from rondo.worker.host import TaskFailed, Worker, open_worker
from tests.mmar.server_parts import make_served
from tests.worker.jobs import Bench

ARRAYS = {"coef_": np.full((1, 3), 2.0, np.float32), "intercept_": np.ones(1, np.float32)}
PART = "parts_of_server"
SITES = (("a", 5.0, 1.0), ("b", 7.0, 9.0), ("c", 8.0, 3.0))  # what each changes, and how many steps it did


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ARRAYS)


async def opened(worker: Worker, bench: Bench) -> None:
    request = {"do": "open", "kind": "own", "trainer": {"name": "mmar"}, "code": str(bench.code), "rounds": 2}
    await worker.ask({**request, "seed": 1})


def spec(bench: Bench) -> Any:
    return bench.spec(purpose="own")


def sent(bench: Bench, sites: Any = SITES) -> list[dict[str, Any]]:
    found = []
    for site, value, steps in sites:
        path = write_tensors(bench.folder / site, {name: 0 * array + value for name, array in ARRAYS.items()}).path
        about = {"site": site, "path": str(path), "kind": "diff", "steps": steps, "metric": None, "omitted": []}
        found.append({**about, "weight": steps, "scale": 1.0})
    return found


def aggregate(bench: Bench, number: int = 0, sites: Any = SITES) -> dict[str, Any]:
    request: dict[str, Any] = {"do": "aggregate", "round": number, "seed": 1, "exclude_vars": ""}
    request |= {"base": str(bench.model), "out": str(bench.out), "rule": {"name": "mean", "options": {}}}
    return {**request, "contributions": sent(bench, sites)}


def ask(bench: Bench, do: str, number: int = 0, **more: Any) -> dict[str, Any]:
    return {"do": do, "round": number, "seed": 1, "out": str(bench.out), "model": str(bench.model), **more}


def added(bench: Bench) -> set[float]:
    """By how much the next model differs from the one before, anywhere."""
    found = [(array - ARRAYS[name]).ravel() for name, array in bench.result().items()]
    return {round(float(difference), 4) for difference in np.concatenate(found)}


def told(bench: Bench, word: str) -> list[str]:
    return [line.split(word, 1)[1].strip() for line in bench.log.read_text().splitlines() if word in line]


async def plain(bench: Bench, sites: Any) -> bytes:
    """The next model as it is made where no component is one's own."""
    request = {**aggregate(bench, sites=sites), "do": "fold", "out": str(bench.folder / "plain")}
    keys = ("site", "path", "kind", "omitted", "weight", "scale")
    request["contributions"] = [{key: one[key] for key in keys} for one in request["contributions"]]
    async with open_worker(bench.spec(purpose="fold", code=None)) as worker:
        await worker.ask(request)
    return (bench.folder / "plain").read_bytes()


async def test_an_aggregator_of_ones_own(bench: Bench) -> None:
    make_served(bench.code, {"server aggregator": {"path": "own.Largest", "args": {"least": 2, "now": True}}})
    assert read_job(bench.code).server.own_parts
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        assert (await worker.ask(aggregate(bench)))["accepted"] == ["b", "c"]
        assert added(bench) == {7.0}
        with pytest.raises(TaskFailed, match="the aggregator accepted no update"):
            await worker.ask(aggregate(bench, 1, SITES[:1]))
    assert "b did 9.0" in bench.log.read_text()
    assert told(bench, "custom: aggregate_now:") == ["a round cannot be closed early, this one was over before"]


async def test_a_persistor_of_ones_own_loads_the_first_model_and_is_given_each_new_one(bench: Bench) -> None:
    make_served(bench.code, {"server model_persistor": {"path": f"{PART}.Kept", "args": {"value": 4.0}}})
    job = read_job(bench.code)
    assert (job.model.trainer, job.model.checkpoints) == (True, None)
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        await worker.ask(ask(bench, "load"))
        assert all((array == 4.0).all() for array in bench.result().values())
        assert "path" not in await worker.ask(ask(bench, "send"))
        await worker.ask(aggregate(bench))
        await worker.ask(ask(bench, "persist", model=str(bench.out)))
        await worker.ask(ask(bench, "persist", 1))
    models = bench.code / "models"
    # one and the same persistor; weights are those of the mean: (1 * 5 + 9 * 7 + 3 * 8) / 13
    assert (models / "mine_1.txt").read_text().startswith("0 8.07")
    assert (models / "mine_2.txt").read_text() == "0 1.0"
    assert (bench.code / "last.txt").read_text() == "1.0"


async def test_a_worker_that_takes_a_dead_ones_place_loads_again_and_goes_on_with_the_run_s_model(bench: Bench) -> None:
    make_served(bench.code, {"server model_persistor": {"path": f"{PART}.Kept", "args": {"least": 1}}})
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        await worker.ask(aggregate(bench, 1))  # what is saved below could not be, had it loaded nothing
        await worker.ask(ask(bench, "persist", 1, model=str(bench.out)))
        assert (bench.code / "models" / "mine_1.txt").read_text().startswith("1 8.07")
        with pytest.raises(TaskFailed, match="persistor returned NoneType, no arrays by name"):
            await worker.ask(ask(bench, "load"))


@pytest.mark.parametrize(("own", "change"), [(False, 0.7077), (True, 0.7)])
async def test_a_generator_of_ones_own_makes_the_next_model_and_what_sites_are_sent(
    bench: Bench, own: bool, change: float
) -> None:
    aggregator = {"path": "own.Largest"} if own else {"name": "InTimeAccumulateWeightedAggregator"}
    make_served(bench.code, {"server aggregator": aggregator, "server shareable_generator": {"path": f"{PART}.Slowed"}})
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        assert (await worker.ask(ask(bench, "send")))["path"] == str(bench.out)
        assert added(bench) == {1000.0}
        await worker.ask(aggregate(bench))
        assert added(bench) == {change}


async def test_handlers_of_ones_own_hear_the_server_s_events_in_clara_s_order(bench: Bench) -> None:
    make_served(bench.code, {"server handlers": [{"path": f"{PART}.Events"}, {"name": "IntimeModelSelectionHandler"}]})
    job = read_job(bench.code)
    assert (job.server.own_parts, job.server.best_metric) == (True, "initial_metrics")
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        await worker.ask(ask(bench, "send"))
        await worker.ask(aggregate(bench, sites=SITES[:2]))
        assert bench.out.read_bytes() == await plain(bench, SITES[:2])
        assert added(bench) == {6.8}
        await worker.ask(ask(bench, "persist", model=str(bench.out)))
        await worker.ask(ask(bench, "send", 1))
        await worker.ask(ask(bench, "send", 2))  # for who only validates
    each = ("_receive_contribution", "_before_accept", "_after_accept")
    events = [
        *("_start_run", "_start_round", "_get_model"), *each, *each, *("_before_aggregation", "_end_aggregation"),
        *("_before_model_update", "_after_model_update", "_before_save_model", "_after_save_model", "_end_round"),
        *("_start_round", "_get_model", "_end_run"),
    ]  # fmt: skip
    lines = [line.split() for line in told(bench, "server ")]
    lines = [line for line in lines if line[0].isdigit()]
    assert [line[1] for line in lines] == events
    assert [int(line[0]) for line in lines] == list(range(1, len(events) + 1))  # one and the same component
    assert [line[2] for line in lines] == ["None"] + ["0"] * 15 + ["1"] * 3
    assert [line[3] for line in lines if line[1] == "_after_accept"] == ["a", "b"]
    # the model is the new one from its saving on
    held = [float(line[4]) for line in lines if line[1] in ("_after_model_update", "_before_save_model")]
    assert held == pytest.approx([1.0, 7.8])


async def test_filters_of_the_server_own_and_built_in(bench: Bench) -> None:
    inbound = [
        {"path": f"{PART}.Doubled"},
        {"name": "PercentilePrivacy", "args": {"percentile": 0, "gamma": 1.5}},  # at most so much a step
        {"name": "ExcludeVars", "args": {"exclude_vars": "intercept_"}},
    ]
    make_served(
        bench.code, {"server inbound_filters": inbound, "server outbound_filters": [{"path": f"{PART}.Doubled"}]}
    )
    assert read_job(bench.code).server.own_parts
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        await worker.ask(ask(bench, "send"))
        assert {float(array.max()) for array in bench.result().values()} == {4.0, 2.0}
        await worker.ask(aggregate(bench))
    assert (bench.result()["intercept_"] == ARRAYS["intercept_"]).all()
    # a: 10 in 1 step is cut to 1.5; b: 14 in 9 steps to 13.5; c: 16 in 3 to 4.5: (1 * 1.5 + 9 * 13.5 + 3 * 4.5) / 13
    assert np.allclose(bench.result()["coef_"] - 2.0, 10.5)


async def test_a_filter_may_not_keep_part_of_the_model_from_the_sites(bench: Bench) -> None:
    make_served(bench.code, {"server outbound_filters": [{"path": f"{PART}.Headless"}]})
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        with pytest.raises(TaskFailed, match=r"what sites are sent: .*intercept_"):
            await worker.ask(ask(bench, "send"))


async def test_bfloat16_is_shown_as_numbers_and_stays_bfloat16(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ARRAYS)
    bits = {"coef_": np.full((1, 3), 0x3F80, np.uint16), "intercept_": np.full(1, 0x4000, np.uint16)}  # 1.0, 2.0
    write_tensors(bench.model, bits, dict.fromkeys(bits, "BF16"))
    make_served(bench.code, {"server outbound_filters": [{"path": f"{PART}.Doubled"}]})
    async with open_worker(spec(bench)) as worker:
        await opened(worker, bench)
        await worker.ask(ask(bench, "send"))
    with TensorFile(bench.out) as file:
        assert {tensor.dtype for tensor in file.layout.tensors} == {"BF16"}
        assert {name: set(array.ravel().tolist()) for name, array in file.items()} == {
            "coef_": {0x4000}, "intercept_": {0x4080},
        }  # fmt: skip
