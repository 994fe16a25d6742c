"""The answers of Clara's FAQ about cross-site validation (V1 to V6), with real processes and TLS."""

from __future__ import annotations

import ast
import asyncio
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.base.errors import BadInput, RondoError
from rondo.console.session import RunEvent
from rondo.simulator.local import ADMIN, SERVER
from tests.mmar.folders import make_mmar
from tests.real.gates import command, gates, status, texts
from tests.real.world import World, world, write_job

BOTH = "cross_validate = true\nis_participating = true\n"
CLIENT = '\n[model]\nfunction = "work:new_model"\n[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'

# Each site adds a step of its own, so that every model in the matrix is known: the global one is the mean. "level" is
# the mean of the model validated, so the same on everybody's data; "offset" is what the site's own data make of it.
STEPS = """
import numpy as np
import rondo

STEPS = {"a": 1.0, "bb": 2.0, "ccc": 4.0}


def new_model():
    return {"w": np.zeros(4, np.float32)}


class Clinic:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        name = self.site.name
        gate = f"{name}-{task.round}"
        if self.site.data and (self.site.data / f"{gate}.knock").exists():
            (self.site.data / f"{gate}.knock").write_bytes(b"x")
            with open(self.site.data / f"{gate}.pass", "rb", buffering=0) as through:
                through.read(1)
        # The first round is the best one here, whatever follows.
        return rondo.Update({"w": model["w"] + STEPS[name]}, 1.0, local_metrics={"level": -float(task.round)})

    def validate(self, model, task):
        level = float(model["w"].mean())
        print("validating", task.round, level, flush=True)
        return 2.0, {"level": level, "offset": level - STEPS[self.site.name]}
"""

HEADLESS = 'cross_filters = [{ name = "exclude_vars", vars = "head" }]\n'
HEADED = (
    STEPS.replace("np.zeros(4, np.float32)}", "np.zeros(4, np.float32), 'head': np.zeros(2, np.float32)}")
    .replace('model["w"] + STEPS[name]}', 'model["w"] + STEPS[name], "head": model["head"] + STEPS[name]}')
    .replace("level - STEPS[self.site.name]", 'float(model["head"].mean())')
)


def crossing_job(folder: Path, *, code: str = STEPS, both: str = BOTH, **server: Any) -> Path:
    """A job with cross-site validation."""
    settings = {"num_rounds": 2, "best_metric": "level", "submit_model_timeout": 30, **server}
    return write_job(folder, code=code, toml=CLIENT + both, **settings)


def kinds(events: list[RunEvent]) -> list[str]:
    return [event.kind for event in events if event.run]


async def levels(made: World, run: int) -> dict[str, dict[str, float | None]]:
    """The metric "level" by site and model; None where the entry is empty."""
    entries = (await made.session.facts("validate", "all", "--run", str(run)))["entries"]
    matrix: dict[str, dict[str, float | None]] = {}
    for entry in entries:
        metrics = entry["metrics"]
        matrix.setdefault(entry["site"], {})[entry["model"]] = None if metrics is None else metrics["level"]
    return matrix


async def why(made: World, run: int) -> dict[tuple[str, str], str]:
    entries = (await made.session.facts("validate", "all", "--run", str(run)))["entries"]
    return {(entry["site"], entry["model"]): entry["why"] for entry in entries if entry["metrics"] is None}


async def test_faq_V3_the_whole_matrix_or_one_entry(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        run, events = await made.run(crossing_job(tmp_path / "job"))
        assert events[-1].kind == "run_finished", events[-1].data
        # Both made their best model in the first round, from zeros; the global one is 1.5 more after each round.
        row = {"a": 1.0, "bb": 2.0, "FL_global_model": 3.0, "best_FL_global_model": 3.0}
        assert await levels(made, run) == {"a": row, "bb": row}

        answer = await command(made.session, "validate all")
        matrix = {
            site: {
                name: {"validation": {"level": level, "offset": level - {"a": 1.0, "bb": 2.0}[site]}}
                for name, level in row.items()
            }
            for site in ("a", "bb")
        }
        assert ast.literal_eval(texts(answer)[0]) == matrix and answer["results"] == matrix
        one = await command(made.session, "validate a bb")
        assert ast.literal_eval(texts(one)[0]) == {"a": {"bb": {"validation": {"level": 2.0, "offset": 1.0}}}}
        with pytest.raises(RondoError, match="no model 'c' in this cross-site validation"):
            await command(made.session, "validate a c")

        # The same as files; and nothing of the sites' own models stays at the server.
        folder = made.workspaces[SERVER] / "run_1" / "cross_validation"
        assert json.loads((folder / "results.json").read_text()) == {"run": run, "results": matrix, "why_empty": {}}
        with (folder / "results.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == 16 and lines[2] == {
            "site": "a", "model": "bb", "samples": "2", "metric": "level", "value": "2.0", "why_empty": "",
        }  # fmt: skip
        kept = [m for m in (await made.session.facts("list_models", str(run)))["models"] if m["kept"]]
        assert len(list(made.workspaces[SERVER].rglob("blobs/??/*"))) == len(kept) + 1, "the models, and the package"
        assert [one["round"] for one in (await made.session.facts("list_metrics", str(run)))["metrics"]][-1] == 2

        # What cross_filters keep back of a local model is that of the last global one; training sends all of it.
        run, events = await made.run(crossing_job(tmp_path / "headless", code=HEADED, both=BOTH + HEADLESS))
        assert events[-1].kind == "run_finished", events[-1].data
        found = (await made.session.facts("validate", "all", "--run", str(run)))["entries"]
        assert {(one["site"], one["model"]): one["metrics"] for one in found} == {
            (site, model): {"level": level, "offset": 3.0} for site in ("a", "bb") for model, level in row.items()
        }


async def test_faq_V1_without_both_switches_no_model_leaves(tmp_path: Path) -> None:
    """Neither one alone does it; nor both, at a site whose policy keeps its models."""
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        for number, both in enumerate(("", "cross_validate = true\n", "is_participating = true\n")):
            run, events = await made.run(crossing_job(tmp_path / f"job{number}", both=both))
            assert events[-1].kind == "run_finished"
            told = kinds(events)
            assert not [kind for kind in told if "cross" in kind or "local" in kind or "validation" in kind]
            with pytest.raises(RondoError, match=f"run {run} has no cross-site validation .it is finished."):
                await command(made.session, "validate all")
        assert not list(made.workspaces["a"].rglob("best_local-*"))
        assert not list(made.workspaces[SERVER].rglob("cross_validation"))

        (made.workspaces["bb"] / "site_policy.toml").write_text('[validation]\nlocal_models = "refuse"\n')
        run, events = await made.run(crossing_job(tmp_path / "job"))
        assert [event.data["client"] for event in events if event.kind == "local_model_accepted"] == ["a"]
        assert not list(made.workspaces["bb"].rglob("best_local-*"))
        row = {"a": 1.0, "FL_global_model": 3.0, "best_FL_global_model": 3.0}
        assert await levels(made, run) == {"a": {**row, "bb": None}, "bb": dict.fromkeys(("a", "bb", *row))}
        refused = "this site keeps its local models: site_policy.toml [validation] local_models"
        assert set((await why(made, run)).values()) == {refused}


async def test_faq_V4_an_empty_entry_says_why_and_the_others_are_there(tmp_path: Path) -> None:
    """One does not take part; of two who do, one cannot validate one of the models."""
    fails = "if (level, self.site.name) == (1.0, 'bb'):\n            raise ValueError('of another scanner')\n        "
    both = crossing_job(tmp_path / "both", code=STEPS.replace("return 2.0", f"{fails}return 2.0"), min_clients=3)
    alone = crossing_job(tmp_path / "alone", both="cross_validate = true\n")
    async with world(tmp_path / "w", {"a": None, "bb": None, "ccc": None}) as made:
        jobs = {"a": both, "bb": both, "ccc": alone}
        lines = [f"upload_folder {both}", f"upload_folder {alone}", "set_run_number 1", "deploy both server"]
        for line in lines + [f"deploy {job.name} client {name}" for name, job in jobs.items()]:
            assert not (await command(made.session, line))["problems"]
        run = int((await command(made.session, "start server"))["run"])
        await command(made.session, "start client")
        assert (await made.ended(run))[-1].kind == "run_finished"
        row = {"a": 1.0, "bb": 2.0, "ccc": None, "FL_global_model": 14 / 3, "best_FL_global_model": 14 / 3}
        found = await levels(made, run)
        assert found["a"] == pytest.approx(row) and found["ccc"] == dict.fromkeys(row)
        assert found["bb"] == pytest.approx({**row, "a": None})
        answer = await command(made.session, "validate bb a")
        assert ast.literal_eval(texts(answer)[0]) == {"bb": {"a": {}}}
        assert texts(answer)[1] == "empty: model a on the data of bb: ValueError: of another scanner"
        reasons = await why(made, run)
        assert {reasons["ccc", "a"], reasons["a", "ccc"]} == {
            "its job does not say both cross_validate and is_participating"
        }


async def test_faq_V5_a_model_that_never_comes_is_named_in_time(tmp_path: Path) -> None:
    """The trainer of bb stands still where it is asked for its model. Nobody waits longer than was said."""
    code = STEPS.replace(
        "    def validate(",
        """    def local_best(self, model):
        if self.site.name == "bb":
            with open(self.site.data / "bb-9.pass", "rb", buffering=0) as through:
                through.read(1)

    def validate(""",
    )
    job = crossing_job(tmp_path / "job", code=code, submit_model_timeout=5, validation_timeout=3)
    async with gates(tmp_path / "data", ("bb", 9)), world(tmp_path / "w", {"a": None, "bb": tmp_path / "data"}) as made:
        run, events = await made.run(job)
        assert events[-1].kind == "run_finished"
        row = {"a": 1.0, "bb": None, "FL_global_model": 3.0, "best_FL_global_model": 3.0}
        assert await levels(made, run) == {"a": row, "bb": dict.fromkeys(row)}
        reasons = await why(made, run)
        assert reasons["a", "bb"] == "did not send its model within 5 s"
        assert reasons["bb", "a"] == "did not answer within 3 s"
        waited = {event.data["why"] for event in events if event.kind == "waiting" and event.data["for"] == ["bb"]}
        assert "the sites send their best local models, within 5 s" in waited


KILLS = {
    "before local models are made": 1,
    "before cross-site validation is committed": 1,
    "after cross-site validation is committed": 3,
}


def deadly(point: str) -> tuple[str, ...]:
    return sys.executable, "-m", "tests.real.killpoint", point, str(KILLS[point])


@pytest.mark.parametrize("point", KILLS)
async def test_a_killed_server_goes_on_with_it(point: str, tmp_path: Path) -> None:
    """Where the models have come, where they are made, and between two of them: nothing is asked for twice."""
    async with world(tmp_path / "w", {"a": None, "bb": None}, command={SERVER: deadly(point)}) as made:
        run = await made.session.submit(crossing_job(tmp_path / "job"))
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1].data
        row = {"a": 1.0, "bb": 2.0, "FL_global_model": 3.0, "best_FL_global_model": 3.0}
        assert await levels(made, run) == {"a": row, "bb": row}
        sent = [(event.kind, event.data["client"], event.data["round"]) for event in events if "accepted" in event.kind]
        assert len(sent) == len(set(sent)), "what counts, counts once"
        assert kinds(events).count("cross_opened") == 1 + 3
        told = json.loads((made.workspaces[SERVER] / "run_1/cross_validation/results.json").read_text())
        assert told["results"]["bb"]["a"]["validation"]["level"] == 1.0
        assert not [path for path in made.workspaces[SERVER].rglob("spool/**/*") if path.is_file()]


async def test_faq_V2_an_mmar_that_cannot_validate_is_refused_where_it_is_to(tmp_path: Path) -> None:
    on = {"client cross_validate": True, "client cross_site_validation is_participating": True}
    folder = make_mmar(tmp_path / "mmar", on)
    for name in ("config_validation.json", "config_validation_ckpt.json"):
        (folder / "config" / name).unlink(missing_ok=True)
    async with world(tmp_path / "w", {"a": None}, absent=("a",)) as made:
        with pytest.raises(BadInput, match=r"config_validation_ckpt.json .* is missing"):
            await made.session.upload(folder)
        assert not list((made.workspaces[SERVER] / "transfer").glob("*"))


async def test_faq_V6_the_first_abort_ends_training_and_the_second_validation(tmp_path: Path) -> None:
    """The server is killed in the middle of it, and does not take the round up again that nobody trains in."""
    data, point = tmp_path / "data", "before local models are made"
    async with (
        gates(data, ("a", 1), ("bb", 1)) as both,
        world(tmp_path / "w", {"a": data, "bb": data}, command={SERVER: deadly(point)}) as made,
    ):
        run = await made.session.submit(crossing_job(tmp_path / "job"))
        for gate in both:
            await gate.reached()
        assert texts(await command(made.session, "abort client a"), "a") == ["Aborting the client..."]
        await made.until("client_stopped", run, client="a")
        await made.until("client_prepared", run, client="a", count=2)
        assert [await status(made, name) for name in ("a", "bb")] == ["cross site validation", "training started"]

        await command(made.session, "abort client a")
        assert await status(made, "a") == "training stopped"

        # The last one who trained: nobody is waited for in this round any more.
        await command(made.session, "abort client bb")
        assert await made.wait(SERVER) == -9, "the server did not come to the point"
        await made.start(SERVER)
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1].data
        assert kinds(events).count("round_committed") == 1 and "run_validating" in kinds(events)
        row = {"a": None, "bb": 2.0, "FL_global_model": 1.5, "best_FL_global_model": 0.0}
        assert await levels(made, run) == {"a": dict.fromkeys(row), "bb": row}
        reasons = await why(made, run)
        assert reasons["bb", "a"] == reasons["a", "bb"] == "its cross-site validation was aborted"


async def rondo(*words: str | Path) -> tuple[int, str]:
    """Exit code and what it says of ``rondo WORDS`` as a process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rondo", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def test_a_heat_map_without_matplotlib_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('not installed', name='matplotlib')\n")
    words = ("validate", "--run", "1", "--kit", str(tmp_path), "--png", str(tmp_path / "out.png"))
    outcome = subprocess.run(
        [sys.executable, "-m", "rondo", *words],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = 'Error: a heat map needs matplotlib (pip install "rondo-fl[plots]", or ask for --csv)\n'
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (3, "", said)


async def test_any_model_is_validated_at_the_sites_without_training(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.full(4, 7.0, np.float32)}, tmp_path / "seven.safetensors")
    job = crossing_job(tmp_path / "job", both="")
    async with world(tmp_path / "w", {"a": None, "bb": None, "ccc": None}) as made:
        kit = ("--kit", made.workspaces[ADMIN])
        files = ("--csv", tmp_path / "out.csv", "--png", tmp_path / "out.png")
        given = (job, "--model", tmp_path / "seven.safetensors")
        code, said = await rondo("validate", *given, "--sites", "a,ccc", *kit, *files)
        assert code == 0, said
        matrix = {
            "a": {"seven": {"validation": {"level": 7.0, "offset": 6.0}}},
            "ccc": {"seven": {"validation": {"level": 7.0, "offset": 3.0}}},
        }
        assert ast.literal_eval(said.splitlines()[0]) == matrix
        assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
            "a,seven,2,level,7.0,", "a,seven,2,offset,6.0,", "ccc,seven,2,level,7.0,", "ccc,seven,2,offset,3.0,",
        ]  # fmt: skip
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
        told = kinds([event async for event in made.session.watch(1, follow=False)])
        assert told[-1] == "run_finished" and "client_not_invited" in told
        assert not {"round_opened", "update_accepted", "local_model_accepted"} & set(told)
        assert not list(made.workspaces["a"].rglob("best_local-*"))

        # The same of a run that is over, as data; and what cannot be is said in a sentence.
        code, said = await rondo("validate", "--run", "1", *kit, "--format", "json")
        assert json.loads(said)["results"] == matrix
        code, said = await rondo("validate", *given, "--sites", "a,nobody", *kit)
        assert (code, said.splitlines()[-1]) == (3, "Error: invalid client(s): nobody (logged in: a bb ccc)")
