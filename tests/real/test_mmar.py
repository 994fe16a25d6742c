"""MMARs in a federation of real processes: each site its own, what stands in the folders, how a run goes on."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rondo.base.errors import BadInput
from rondo.simulator.local import ADMIN, SERVER
from rondo.tensors.files import TensorFile
from tests.jobs.folders import fill, tree
from tests.mmar.folders import ALONE, OWN, make_mmar, make_own
from tests.mmar.images import add_images
from tests.mmar.server_parts import make_served
from tests.real.gates import Gate, command, gates, status, texts
from tests.real.world import World, world

HERE: dict[str, Any] = {"server servers 0 min_num_clients": 2}
BOTH: dict[str, Any] = {"client cross_validate": True, "client cross_site_validation is_participating": True}
FIRST = {**HERE, "server servers 0 wait_after_min_clients": 60, **BOTH}

# A trainer that does the same to every network.
LOWERS = """
from nvflare.apis.fl_constant import FLConstants, ShareableKey, ShareableValue
from nvflare.apis.shareable import Shareable
from nvflare.apis.trainer import Trainer


class Lowers(Trainer):
    def train(self, shareable, fl_ctx, abort_signal):
        made = Shareable()
        made[ShareableKey.TYPE] = ShareableValue.TYPE_WEIGHT_DIFF
        made[ShareableKey.DATA_TYPE] = ShareableValue.DATA_TYPE_UNENCRYPTED
        made[ShareableKey.MODEL_WEIGHTS] = {
            name: value * 0 - 0.5 for name, value in shareable[ShareableKey.MODEL_WEIGHTS].items()
        }
        made[ShareableKey.META] = {FLConstants.NUM_STEPS_CURRENT_ROUND: 5}
        return made
"""

# A trainer that waits at a gate of the test (``tests.real.gates``) where there is one for this site and round; and a
# validator that needs no data.
GATED = """
from pathlib import Path

from nvflare.apis.fl_constant import FLConstants
from nvflare.apis.shareable import ShareableKey
from nvflare.apis.validator import Validator
from own import Stepper


class Gated(Stepper):
    def __init__(self, gates, **args):
        super().__init__(**args)
        self.gates = Path(gates)

    def train(self, shareable, fl_ctx, abort_signal):
        gate = f"{fl_ctx.get_prop(FLConstants.CLIENT_NAME)}-{fl_ctx.get_prop(FLConstants.CURRENT_ROUND)}"
        if (self.gates / f"{gate}.knock").exists():
            (self.gates / f"{gate}.knock").write_bytes(b"x")
            with open(self.gates / f"{gate}.pass", "rb", buffering=0) as through:
                through.read(1)
        return super().train(shareable, fl_ctx, abort_signal)


class Level(Validator):
    def validate(self, shareable, fl_ctx, abort_signal):
        return {"level": float(shareable[ShareableKey.MODEL_WEIGHTS]["intercept_"][0])}
"""


async def start(made: World, number: int, server: Path, clients: dict[str, Path]) -> int:
    """Clara's way to a run, with a folder for each. Returns the run's id."""
    for folder in sorted({server, *clients.values()}):
        await made.session.upload(folder)
    lines = [f"set_run_number {number}", f"deploy {server.name} server"]
    for line in lines + [f"deploy {folder.name} client {name}" for name, folder in clients.items()]:
        assert not (await command(made.session, line))["problems"]
    run = int((await command(made.session, "start server"))["run"])
    await command(made.session, f"start client {' '.join(clients)}")
    return run


async def tensors(made: World, run: int, version: int, folder: Path) -> dict[str, Any]:
    file = folder / f"{run}-{version}.safetensors"
    await made.session.model(run, str(version), file)
    with TensorFile(file) as found:
        return {name: torch.tensor(found[name]) for name in found}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


async def measured(made: World, run: int) -> dict[tuple[str, str], dict[str, Any]]:
    """What is known of each entry of the matrix, by site and model."""
    entries = (await made.session.facts("validate", "all", "--run", str(run)))["entries"]
    return {(entry["site"], entry["model"]): entry for entry in entries}


async def see_t5(made: World, run: int, folder: Path) -> None:
    """T5: each client ran what was deployed to it, and a copy of that lies at the server."""
    versions = (await made.session.facts("list_models", str(run)))["models"]
    weights = {one["client"]: one["weight"] for one in versions[-1]["provenance"]["contributors"]}
    assert weights == {"a": 2.0, "b": 6.0, "c": 5.0}  # iterations: 4 / 2 once, 6 / 2 twice, and what c says
    configs = [json.loads((folder / f"mmar_{name}/config/config_fed_client.json").read_text()) for name in "ab"]
    assert [config["client_trainer"]["args"]["local_epochs"] for config in configs] == [1, 2]
    assert (made.workspaces["b"] / "run_1/mmar_b/models/local_best_model.pt").is_file()


async def see_models(made: World, run: int, best: int, folder: Path, tmp_path: Path) -> None:
    """The files that people look for, in the form they know."""
    models = folder / "mmar_server" / "models"
    last = torch.load(models / "FL_global_model.pt", weights_only=True)
    assert set(last) == {"model", "train_conf"}
    assert last["train_conf"]["train"]["model"]["name"] == "UNet"
    assert same(last["model"], await tensors(made, run, 2, tmp_path))
    found = torch.load(models / "best_FL_global_model.pt", weights_only=True)["model"]
    assert same(found, await tensors(made, run, best, tmp_path))


async def see_matrix(made: World, run: int, best: int) -> None:
    """V1, V3, V4: the models of a and b and the global ones, on the data of a and b; nothing of c, and why."""
    code, answer = await made.admin("validate all")
    matrix, found = answer["results"], await measured(made, run)
    assert code == 0 and ast.literal_eval(answer["texts"][0]["text"]) == matrix
    models = {"a", "b", "c", "FL_global_model", "best_FL_global_model"}
    assert found.keys() == {(site, model) for site in "abc" for model in models}
    not_twice = "its job does not say both cross_validate and is_participating"
    for (site, model), entry in found.items():
        empty = "c" in (site, model)
        assert (matrix[site][model] == {}) == empty and entry["why"] == (not_twice if empty else "")
        if not empty:  # each site by its own validation config
            key, cases = {"a": ("val_mean_dice", 2), "b": ("cross_dice", 6)}[site]
            assert (set(matrix[site][model]["validation"]), entry["samples"]) == ({key, "val_acc"}, cases)
    assert not list(made.workspaces["c"].rglob("best_local-*"))

    # The numbers are those of the models: what a had found of each before, in training.
    rows = (await made.session.facts("list_metrics", str(run)))["metrics"]
    told = {row["round"]: row["value"] for row in rows if (row["client"], row["name"]) == ("a", "val_mean_dice")}
    own = torch.load(made.workspaces["a"] / "run_1/mmar_a/models/local_best_model.pt", weights_only=True)
    expected = {"a": own["key_metric"], "FL_global_model": told[2], "best_FL_global_model": told[best]}
    assert {name: matrix["a"][name]["validation"]["val_mean_dice"] for name in expected} == pytest.approx(expected)
    pair = await command(made.session, "validate b a")
    assert ast.literal_eval(texts(pair)[0]) == {"b": {"a": matrix["b"]["a"]}}
    written = json.loads((made.workspaces[SERVER] / "run_1/cross_validation/results.json").read_text())
    assert written["results"] == matrix


async def classification(made: World, tmp_path: Path) -> Path:
    """T3: an MMAR for classification; without label_format in its DATASET_JSON it is refused."""
    changes = {**ALONE, **BOTH, "server servers 0 num_rounds": 1, "environment PROCESSING_TASK": "classification"}
    gated = {"path": "gated.Gated", "args": {"step": 1.0, "gates": str(tmp_path / "gates")}}
    parts = {"client client_trainer": gated, "client cross_site_validation model_validator": {"path": "gated.Level"}}
    folder = make_own(tmp_path / "classes", {}, {**changes, **parts})
    fill(folder, {"custom/gated.py": GATED})
    with pytest.raises(BadInput, match=r"config/dataset_0\.json:1:1: label_format is missing"):
        await made.session.upload(folder)
    assert not (made.workspaces[SERVER] / "transfer/classes").exists()
    listed = {"label_format": [1, 1], "training": [{"image": "i.npy", "label": [1, 0]}], "validation": []}
    (folder / "config/dataset_0.json").write_text(json.dumps(listed))
    return folder


async def second_model(made: World, folder: Path, waiting: list[Gate]) -> None:
    """T9: another MMAR in run_2 with the same processes. V6: who aborts once still validates, who aborts twice does
    not."""
    pids = {name: made.pid(name) for name in made.workspaces if name != ADMIN}
    run = await start(made, 2, folder, {"a": folder, "b": folder})
    for gate in waiting:
        await gate.reached()
    await command(made.session, "abort client a")
    await made.until("client_prepared", run, client="a", count=2)
    assert [await status(made, name) for name in ("a", "b")] == ["cross site validation", "training started"]
    await command(made.session, "abort client a")
    assert await status(made, "a") == "training stopped"
    waiting[1].open()
    events = await made.ended(run)
    assert events[-1].kind == "run_finished", events[-1].data
    found, stopped = await measured(made, run), "its cross-site validation was aborted"
    assert {found[at]["why"] for at in found if "a" in at} == {stopped}
    assert found["b", "b"]["metrics"] == found["b", "FL_global_model"]["metrics"] == {"level": 1.0}
    assert float((await tensors(made, run, 1, folder))["intercept_"]) == 1.0
    assert {name: made.pid(name) for name in pids} == pids


@pytest.mark.timeout(300)
async def test_faq_T3_T5_T9_V1_V3_V4_V6_each_client_has_its_own_mmar(tmp_path: Path) -> None:
    """And everybody's model is measured on everybody's data, but on that of c, who has said yes once only."""
    one = add_images(make_mmar(tmp_path / "one", FIRST))
    other = {**FIRST, "validation metrics 0 log_label": "cross_dice", "validation dataset data_list_key": "training"}
    two = add_images(make_mmar(tmp_path / "two", {**other, "client client_trainer args local_epochs": 2}), count=6)
    alone = {**ALONE, "client client_trainer": {"path": "lowers.Lowers"}, "client cross_validate": True}
    three = fill(make_own(tmp_path / "three", {}, alone), {"custom/lowers.py": LOWERS})
    places = world(tmp_path / "w", {"a": None, "b": None, "c": None})
    async with gates(tmp_path / "gates", ("a", 0), ("b", 0)) as waiting, places as made:
        run = await start(made, 1, one, {"a": one, "b": two, "c": three})
        await made.until("client_prepared", run, count=3)  # MONAI takes its time
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1].data
        best = next(event.data["version"] for event in reversed(events) if event.kind == "new_best")
        folder = made.workspaces[SERVER] / "run_1"
        await see_t5(made, run, folder)
        await see_models(made, run, best, folder, tmp_path)
        await see_matrix(made, run, best)
        before = tree(folder)
        await second_model(made, await classification(made, tmp_path), waiting)
        assert tree(folder) == before


@pytest.mark.timeout(300)
async def test_faq_T1_T6_T10_a_run_goes_on_from_a_checkpoint_with_the_class_that_was_changed(tmp_path: Path) -> None:
    own = {**ALONE, "server servers 0 num_rounds": 1, "server aggregator": {"path": "own.Largest"}}
    on = {**own, "server servers 0 start_round": 1, "server servers 0 num_rounds": 2}
    async with world(tmp_path / "w", {"a": None}) as made:
        # What only the trainer can see is refused at upload, at its place; nothing of it is stored.
        wrong = {**own, "server aggregator": {"path": "own.Larger"}}
        with pytest.raises(BadInput, match=r"config/config_fed_server\.json:15:13: module 'own' has no 'Larger'"):
            await made.session.upload(make_own(tmp_path / "wrong", {"step": 1.0}, wrong))
        assert not (made.workspaces[SERVER] / "transfer" / "wrong").exists()

        once = make_own(tmp_path / "own", {"step": 1.0}, own)
        first = await start(made, 7, once, {"a": once})
        assert (await made.ended(first))[-1].kind == "run_finished"
        versions = (await made.session.facts("list_models", str(first)))["models"]
        assert versions[-1]["provenance"]["contributors"][0]["weight"] == 5.0  # its own aggregator accepted it
        assert float((await tensors(made, first, 1, tmp_path))["intercept_"]) == 1.0

        # T10: another class under the same name. T6: the same run folder. T1: the file that lies there is the start.
        changed = OWN.replace("added = self.step", "added = 10 * self.step")
        on["environment MMAR_CKPT"] = "models/FL_global_model.pt"
        again = make_own(tmp_path / "own", {"step": 1.0}, on, changed)
        second = await start(made, 7, again, {"a": again})
        events = await made.ended(second)
        assert events[-1].kind == "run_finished", events[-1].data
        assert [event.data["round"] for event in events if event.kind == "round_opened"] == [1]
        ready = next(event.data for event in events if event.kind == "model_ready")
        assert (ready["version"], ready["digest"]) == (1, versions[-1]["digest"])
        assert float((await tensors(made, second, 2, tmp_path))["intercept_"]) == 1.0 + (10 + 1)

        # T1: where the file is not there, there is no run; a bare state dict in the MMAR will do, too.
        events = await made.ended(await start(made, 8, again, {"a": again}))
        assert events[-1].kind == "run_failed" and "no such file to begin with" in events[-1].data["error"]
        assert not [event for event in events if event.kind == "round_opened"]
        on["environment MMAR_CKPT"] = "models/bare.pt"
        bare = make_own(tmp_path / "own", {"step": 1.0}, on, changed)
        (bare / "models").mkdir()
        torch.save({"coef_": torch.full((1, 3), 2.0), "intercept_": torch.full((1,), 2.0)}, bare / "models/bare.pt")
        last = await start(made, 9, bare, {"a": bare})
        assert (await made.ended(last))[-1].kind == "run_finished"
        assert float((await tensors(made, last, 2, tmp_path))["intercept_"]) == 2.0 + (10 + 1)


@pytest.mark.timeout(300)
async def test_a_server_s_components_of_ones_own_run_in_its_worker(tmp_path: Path) -> None:
    parts = {
        **ALONE,
        "server model_persistor": {"path": "parts_of_server.Kept", "args": {"value": 3.0}},
        "server handlers": [{"path": "parts_of_server.Events"}],
        "server outbound_filters": [{"path": "parts_of_server.Doubled"}],
        "server inbound_filters": [{"path": "parts_of_server.Doubled"}],
    }
    async with world(tmp_path / "w", {"a": None}) as made:
        mmar = make_served(tmp_path / "served", parts)
        run = await start(made, 1, mmar, {"a": mmar})
        assert (await made.ended(run))[-1].kind == "run_finished"
        folder = made.workspaces[SERVER] / "run_1"
        # The persistor's model is 3.0; each round adds twice what the site changed: 1.0 in round 0, 2.0 in round 1.
        saved = [(folder / f"mmar_server/models/mine_{number}.txt").read_text() for number in (1, 2)]
        assert saved == ["0 5.0", "1 9.0"]
        assert float((await tensors(made, run, 2, tmp_path))["intercept_"]) == 9.0
        # The site was sent the model as the filter left it. One worker did all of it, and heard of the run's end.
        logs = "".join(path.read_text() for path in made.workspaces["a"].glob("run_1/*.log"))
        assert [line.split("got ")[1] for line in logs.splitlines() if "got " in line] == ["6.0", "10.0"]
        log = (folder / "server_worker.log").read_text()
        assert (log.count("_start_run"), log.count("_start_round"), log.count("_end_round"), log.count("_end_run")) == (
            1, 2, 2, 1,
        )  # fmt: skip
