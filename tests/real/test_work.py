"""What a worker does besides training, as a process: the first model, folding, filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rondo.tensors.files import TensorFile, write_tensors
from rondo.worker.host import TaskFailed, Worker, open_worker
from tests.worker.jobs import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def init(bench: Bench, **more: Any) -> dict[str, Any]:
    return {"do": "init", "seed": 3, "out": str(bench.out), **more}


MODELS = """
import numpy as np
def arrays(shape): return {"w": np.random.rand(*shape).astype("f4"), "n": np.int64(3)}
def module():
    import torch
    return torch.nn.Linear(2, 1).to(torch.bfloat16)
def nothing(): pass
def broken(): return {"w": np.array([1.0, np.inf])}
def fails(): return 1 / 0
"""


async def test_the_first_model_is_made_by_a_function_of_the_job(bench: Bench) -> None:
    bench.write("models.py", MODELS)
    async with open_worker(bench.spec(purpose="init")) as worker:
        await worker.ask({"do": "open", "kind": "init"})
        answers = [
            await worker.ask(init(bench, function="models:arrays", args={"shape": [2, 3]}, seed=seed))
            for seed in (1, 2, 1)
        ]
        assert answers[0] == answers[2] and answers[0]["digest"] != answers[1]["digest"]
        assert answers[0]["size"] == bench.out.stat().st_size and answers[0]["path"] == str(bench.out)
        assert bench.result()["n"] == 3 and bench.result()["w"].shape == (2, 3)
        await worker.ask(init(bench, function="models:module", args={}))
        with TensorFile(bench.out) as file:
            assert file.layout.schema() == (("bias", "BF16", (1,)), ("weight", "BF16", (1, 2)))


@pytest.mark.parametrize(
    ("function", "says", "line"),
    [
        ("models:fails", "ZeroDivisionError", 9),
        ("models:nothing", "models:nothing: is a NoneType; it must map tensor names to arrays", 0),
        ("models:broken", "tensor 'w' holds NaN or infinity", 0),
        ("models:missing", "AttributeError: module 'models' has no attribute 'missing'", None),
        ("missing:arrays", "No module named 'missing'", None),
    ],
)
async def test_a_first_model_that_cannot_be_made(bench: Bench, function: str, says: str, line: int | None) -> None:
    bench.write("models.py", MODELS)
    async with open_worker(bench.spec(purpose="init")) as worker:
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(init(bench, function=function, args={}))
    assert says in caught.value.error
    assert line is None or caught.value.line == line


async def test_the_first_model_is_read_from_a_file(bench: Bench) -> None:
    state = {"w": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(4)}
    torch.save({"state_dict": state, "epoch": 3}, bench.code / "init.pt")
    torch.save({"w": Bench}, bench.code / "evil.pt")
    async with open_worker(bench.spec(purpose="init")) as worker:
        await worker.ask(init(bench, file=str(bench.code / "init.pt")))
        with TensorFile(bench.out) as file:
            assert file.layout.schema() == (("n", "I64", ()), ("w", "BF16", (2,)))
        answer = await worker.ask(init(bench, file=str(bench.out), out=str(bench.folder / "again")))
        assert (bench.folder / "again").read_bytes() == bench.out.read_bytes()
        assert answer["path"] == str(bench.folder / "again")
        with pytest.raises(TaskFailed, match="Weights only load failed"):
            await worker.ask(init(bench, file=str(bench.code / "evil.pt")))


async def test_updates_are_folded(bench: Bench) -> None:
    told: list[float] = []
    sent = [_update(bench, "a", 1.0, "weights", 3.0), _update(bench, "b", 4.0, "diff", 1.0)]
    async with open_worker(bench.spec(purpose="fold", code=None)) as worker:
        assert await worker.ask({"do": "open", "kind": "fold"}) == {"say": "ready"}
        answer = await _fold(worker, bench, sent, told, name="mean", options={})
        assert answer["digest"].startswith("blake3:") and answer["size"] == bench.out.stat().st_size
        expected = (3 * 1.0 + 1 * (bench.arrays["w"] + 4.0)) / 4
        assert np.allclose(bench.result()["w"], expected)
        assert told == sorted(told) and all(0 <= fraction <= 1 for fraction in told)
        with pytest.raises(TaskFailed, match=r"trimmed_men.*did you mean 'trimmed_mean'"):
            await _fold(worker, bench, sent, told, name="trimmed_men", options={})
        with pytest.raises(TaskFailed, match="aggregator trimmed_mean: unknown key 'trin'") as caught:
            await _fold(worker, bench, sent, told, name="trimmed_mean", options={"trin": 0.1})
        assert caught.value.kind == "BadInput"
        assert (caught.value.traceback, caught.value.file, caught.value.line) == ("", "", 0)
        with pytest.raises(TaskFailed, match="no contribution"):
            await _fold(worker, bench, [], told, name="mean", options={})


async def test_tensors_are_left_out_of_a_fold_by_name(bench: Bench) -> None:
    sent = [_update(bench, "a", 3.0, "diff", 1.0)]
    async with open_worker(bench.spec(purpose="fold", code=None)) as worker:
        await _fold(worker, bench, sent, [], exclude="^w", name="mean", options={})
        assert np.array_equal(bench.result()["w"], bench.arrays["w"])
        assert bench.result()["b"] == bench.arrays["b"] + 3.0


async def test_a_checkpoint_is_written_that_needs_no_trust(bench: Bench) -> None:
    state = {"h": torch.ones(2, dtype=torch.bfloat16), "w": torch.tensor([1.5])}
    arrays = {"h": state["h"].view(torch.uint16).numpy(), "w": state["w"].numpy()}
    write_tensors(bench.model, arrays, {"h": "BF16", "w": "F32"})
    out = bench.folder / "deep" / "model.pt"
    request = {"do": "checkpoint", "source": str(bench.model), "out": str(out), "beside": {"train_conf": {"a": [1]}}}
    async with open_worker(bench.spec(purpose="fold", code=None)) as worker:
        await worker.ask(request)
    found = torch.load(out, weights_only=True)
    assert found["train_conf"] == {"a": [1]} and found["model"].keys() == state.keys()
    assert all(torch.equal(found["model"][name], state[name]) for name in state)
    assert [path.name for path in out.parent.iterdir()] == ["model.pt"]


async def test_a_first_model_of_a_trainer_that_makes_none_is_refused(bench: Bench) -> None:
    bench.write("user.py", "")
    trainer = {"name": "function", "options": {"class": "user:X"}}
    async with open_worker(bench.spec(purpose="init")) as worker:
        with pytest.raises(TaskFailed, match="trainer function: makes no first model"):
            await worker.ask(init(bench, trainer=trainer, code=str(bench.code)))
        with pytest.raises(TaskFailed, match="there is no such file to begin with"):
            await worker.ask(init(bench, file=str(bench.code / "none.pt")))


async def test_filters_are_run(bench: Bench) -> None:
    update = {"w": bench.arrays["w"] + 2, "b": bench.arrays["b"]}
    write_tensors(bench.folder / "update", update)
    request = {
        "do": "filter",
        "model": str(bench.model),
        "update": str(bench.folder / "update"),
        "kind": "weights",
        "omitted": [],
        "steps": 0.0,
        "filters": [{"name": "exclude_vars", "options": {"vars": ["b"]}}],
        "codecs": [],
        "seed": 1,
        "out": str(bench.out),
    }
    async with open_worker(bench.spec(purpose="filter", code=None)) as worker:
        assert await worker.ask({"do": "open", "kind": "filter"}) == {"say": "ready"}
        answer = await worker.ask(request)
        assert answer["kind"] == "diff" and answer["omitted"] == ["b"]
        assert list(bench.result()) == ["w"] and np.array_equal(bench.result()["w"], np.full((2, 3), 2.0))
        with pytest.raises(TaskFailed, match="filter percentile: unknown key 'percent'"):
            await worker.ask(request | {"filters": [{"name": "percentile", "options": {"percent": 3}}]})


async def test_what_this_site_does_not_know_is_refused_before_anybody_trains(bench: Bench) -> None:
    async with open_worker(bench.spec(purpose="filter", code=None)) as worker:
        for about, says in (
            ({"codecs": [{"name": "int4", "options": {}}]}, "no 'int4' in codecs"),
            ({"codecs": [{"name": "int8", "options": {"of_a_later_version": 1}}]}, "unknown key 'of_a_later_version'"),
            ({"filters": [{"name": "svt", "options": {"fractio": 1}}]}, "unknown key 'fractio'"),
        ):
            with pytest.raises(TaskFailed, match=says):
                await worker.ask({"do": "open", "kind": "filter", **about})


async def test_files_are_coded_and_decoded(bench: Bench) -> None:
    codec = {"name": "topk", "options": {"fraction": 0.5}}
    lost = bench.folder / "lost"
    request = {"do": "encode", "codec": codec, "source": str(bench.model), "out": str(bench.folder / "coded")}
    async with open_worker(bench.spec(purpose="filter", code=None)) as worker:
        await worker.ask({"do": "open", "kind": "filter", "codecs": [codec]})
        first = await worker.ask(request | {"before": "", "after": str(lost)})
        again = await worker.ask(request | {"before": str(lost), "after": str(bench.folder / "lost again")})
        assert first["digest"] != again["digest"]
        await worker.ask({"do": "decode", "codec": codec, "source": str(bench.folder / "coded"), "out": str(bench.out)})
        for array in bench.result().values():
            assert np.count_nonzero(array) <= -(-array.size // 2)
        # Nothing that loses something, no filters: the update stays as it is.
        plain = {"do": "filter", "filters": [], "codecs": [{"name": "planes", "options": {}}]}
        assert await worker.ask(plain) == {"say": "done"}


async def test_a_worker_that_folds_does_not_load_what_others_need(bench: Bench) -> None:
    text = "import sys\ndef loaded(): raise ValueError(' '.join(sorted(sys.modules)))\n"
    bench.write("probe.py", text)
    async with open_worker(bench.spec(purpose="fold")) as worker:
        await worker.ask({"do": "open", "kind": "fold"})
        with pytest.raises(TaskFailed) as caught:
            await worker.ask(init(bench, function="probe:loaded", args={}))
    loaded = set(caught.value.error.split())
    assert "numpy" in loaded
    assert not loaded & {"torch", "sklearn", "asyncio", "grpc", "sqlalchemy", "rondo.filters", "rondo.trainers"}


def _update(bench: Bench, site: str, value: float, kind: str, weight: float) -> dict[str, Any]:
    path = bench.folder / site
    write_tensors(path, {name: np.full_like(array, value) for name, array in bench.arrays.items()})
    return {"site": site, "path": str(path), "kind": kind, "weight": weight, "omitted": []}


async def _fold(
    worker: Worker, bench: Bench, sent: list[dict[str, Any]], told: list[float], exclude: str = "", **rule: Any
) -> dict[str, Any]:
    files = {"base": str(bench.model), "out": str(bench.out)}
    request = {"do": "fold", "contributions": sent, "rule": rule, "exclude_vars": exclude, **files}
    return await worker.ask(request, lambda fraction, _: told.append(fraction))
