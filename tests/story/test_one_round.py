"""Start here. One round of federated learning, with real processes, real TLS and numbers you can check by hand.

Two clinics share a model of three weights, all zero. Oslo has 1 patient and moves every weight to 2; Bergen has 3
patients and moves every weight to 6. The mean, weighted by patients, is (1 x 2 + 3 x 6) / 4 = 5.
`docs/one-round.md` says which file does what on the way.
"""

from __future__ import annotations

from pathlib import Path

from tests.real.world import World, world, write_job

CODE = """
import numpy as np
import rondo

PATIENTS = {"oslo": 1, "bergen": 3}
WEIGHT = {"oslo": 2.0, "bergen": 6.0}


def new_model():
    return {"weights": np.zeros(3, np.float32)}


class Clinic:
    def __init__(self, site):
        self.name = site.name

    def train(self, model, task):
        print("these patients never leave", self.name)
        trained = np.full_like(model["weights"], WEIGHT[self.name])
        return rondo.Update({"weights": trained}, samples=PATIENTS[self.name])

    def validate(self, model, task):
        error = float(np.abs(model["weights"] - 5.0).mean())
        return PATIENTS[self.name], {"error": error}
"""


async def test_one_round(tmp_path: Path) -> None:
    # The lead IT provisioned a kit for the server, for each clinic and for the researcher; everybody has started.
    async with world(tmp_path / "sites", {"oslo": None, "bergen": None}) as here:
        # The researcher has a folder: job.toml and a Python file. She submits it and watches.
        job = write_job(tmp_path / "job", code=CODE, num_rounds=1, best_metric="error", best_mode="min")
        run = await here.session.submit(job)
        events = await here.ended(run)
        told = [event.kind for event in events]

        # Every clinic fetches the job and starts its code before the first round opens.
        prepared = [event.data["client"] for event in events if event.kind == "client_prepared"]
        assert sorted(prepared) == ["bergen", "oslo"]
        assert told.index("round_opened") > told.index("client_prepared")

        # Each gets the model, measures it on its own patients, trains, and sends its update; each counts once.
        updates = [event for event in events if event.kind == "update_accepted" and event.data["task"] == "train"]
        assert sorted((event.data["client"], event.data["samples"]) for event in updates) == [
            ("bergen", 3),
            ("oslo", 1),
        ]
        assert all(event.data["metrics"] == {"error": 5.0} for event in updates)

        # When both have answered, the server folds the two files into one, and commits it with the round.
        assert told.index("round_folding") > max(events.index(update) for update in updates)
        assert await weights(here, run, "last", tmp_path) == [5.0, 5.0, 5.0]

        # The new model is measured as well, so that the best one is known, not the one before it.
        models = (await here.session.facts("list_models", str(run)))["models"]
        assert [model["metrics"]["error"] for model in models] == [5.0, 0.0]
        assert await weights(here, run, "best", tmp_path) == [5.0, 5.0, 5.0]

        # It says where it comes from: which clinic, which bytes, with how much weight.
        contributors = models[1]["provenance"]["contributors"]
        assert [(one["client"], one["weight"]) for one in contributors] == [("bergen", 3.0), ("oslo", 1.0)]
        assert told[-1] == "run_finished"

    # What a clinic's code printed stayed at the clinic.
    log = (tmp_path / "sites" / "oslo" / f"run_{run}" / "oslo.log").read_text()
    assert "these patients never leave oslo" in log


async def weights(here: World, run: int, which: str, folder: Path) -> list[float]:
    """The weights of the run's model, fetched as the researcher would."""
    from safetensors.numpy import load_file

    file = folder / f"{which}.safetensors"
    await here.session.model(run, which, file)
    return [float(value) for value in load_file(file)["weights"]]
