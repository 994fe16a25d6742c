"""MMARs in a federation of real processes: each site its own, what stands in the folders, how a run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rondo.base.errors import BadInput
from rondo.simulator.local import SERVER
from rondo.tensors.files import TensorFile
from tests.mmar.folders import OWN, make_mmar, make_own
from tests.mmar.images import add_images
from tests.mmar.server_parts import make_served
from tests.real.gates import command
from tests.real.world import World, world

HERE: dict[str, Any] = {"server servers 0 min_num_clients": 2}


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


@pytest.mark.timeout(300)
async def test_faq_T5_each_client_runs_its_own_mmar(tmp_path: Path) -> None:
    one = add_images(make_mmar(tmp_path / "one", HERE))
    two = add_images(make_mmar(tmp_path / "two", {**HERE, "client client_trainer args local_epochs": 2}), count=6)
    async with world(tmp_path / "w", {"a": None, "b": None}) as made:
        # What only MONAI can see is refused at upload, at its place; nothing of it is stored.
        wrong = make_mmar(tmp_path / "wrong", {"train train loss name": "DiceLos"})
        with pytest.raises(BadInput, match=r"config/config_train\.json:14:15: no loss 'DiceLos' in monai"):
            await made.session.upload(wrong)
        assert not (made.workspaces[SERVER] / "transfer" / "wrong").exists()

        # Each client runs what was deployed to it, and a copy of that lies at the server.
        run = await start(made, 1, one, {"a": one, "b": two})
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1].data
        versions = (await made.session.facts("list_models", str(run)))["models"]
        weights = {one["client"]: one["weight"] for one in versions[-1]["provenance"]["contributors"]}
        assert weights == {"a": 2.0, "b": 6.0}  # iterations: 4 / 2 once, 6 / 2 twice
        folder = made.workspaces[SERVER] / "run_1"
        configs = [json.loads((folder / f"mmar_{name}/config/config_fed_client.json").read_text()) for name in "ab"]
        assert [config["client_trainer"]["args"]["local_epochs"] for config in configs] == [1, 2]
        assert (made.workspaces["b"] / "run_1/mmar_b/models/local_best_model.pt").is_file()

        # Every client measured the model it received by the key metric, and the best one was chosen by that.
        received = [event.data["metrics"] for event in events if event.kind == "update_accepted"]
        assert all({"val_mean_dice", "val_acc"} == set(metrics) for metrics in received)
        best = next(event.data["version"] for event in reversed(events) if event.kind == "new_best")

        # The files that people look for, in the form they know.
        models = folder / "mmar_server" / "models"
        last = torch.load(models / "FL_global_model.pt", weights_only=True)
        assert set(last) == {"model", "train_conf"}
        assert last["train_conf"]["train"]["model"]["name"] == "UNet"
        assert same(last["model"], await tensors(made, run, 2, tmp_path))
        found = torch.load(models / "best_FL_global_model.pt", weights_only=True)["model"]
        assert same(found, await tensors(made, run, best, tmp_path))


@pytest.mark.timeout(300)
async def test_faq_T1_T6_T10_a_run_goes_on_from_a_checkpoint_with_the_class_that_was_changed(tmp_path: Path) -> None:
    own = {"server servers 0 num_rounds": 1, "server aggregator": {"path": "own.Largest"}}
    on = {**own, "server servers 0 start_round": 1, "server servers 0 num_rounds": 2}
    async with world(tmp_path / "w", {"a": None}) as made:
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


@pytest.mark.timeout(300)
async def test_a_server_s_components_of_ones_own_run_in_its_worker(tmp_path: Path) -> None:
    parts = {
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
