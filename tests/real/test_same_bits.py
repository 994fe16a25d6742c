"""A hundred rounds come to the same bits, whoever is first and whoever is killed meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rondo.aggregate.folding import fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.simulator.local import SERVER
from rondo.tensors.files import TensorFile, write_tensors
from tests.real.world import world, write_job

ROUNDS = 100
SITES = ("a", "b", "c")

# Every round one site sends something huge, one its opposite, one something small: in float64, huge + small - huge is
# another number than huge - huge + small, so the order of adding shows in the bits. Each site takes another time for
# every round, so that updates arrive in every order.
UNEVEN = """
import random, time
import numpy as np
import rondo


def new_model():
    return {"w": np.zeros(500, np.float32)}


def step(site, number):
    part = ("abc".index(site) + number) % 3 - 1
    return np.random.default_rng(number).normal(size=500).astype(np.float32) + np.float32(part * 1e12)


class Clinic:
    def __init__(self, site):
        self.name, self.random = site.name, random.Random(site.name)

    def train(self, model, task):
        time.sleep(self.random.random() * 0.02)
        return rondo.Update({"w": model["w"] + step(self.name, task.round)}, samples=1.0)
"""


def versions(folder: Path, order: Sequence[str]) -> list[str]:
    """The digests of all versions of the model, folded here, the updates of a round always in this order."""
    work: dict[str, Any] = {}
    exec(UNEVEN, work)
    base = write_tensors(folder / "base", work["new_model"]())
    digests, rule = [base.digest], build_rule("mean", {})
    for number in range(ROUNDS):
        with TensorFile(base.path) as model:
            steps = {site: {"w": model["w"] + work["step"](site, number)} for site in SITES}
        # Folding goes by names: the place in ``order`` is the name here.
        sent = [
            Contribution(str(place), write_tensors(folder / site, steps[site]).path, "weights", 1.0)
            for place, site in enumerate(order)
        ]
        base = fold(base.path, sent, rule, folder / "base").model
        digests.append(base.digest)
    return digests


async def test_a_hundred_rounds_with_shuffled_arrivals_and_kills(tmp_path: Path) -> None:
    async with world(tmp_path / "w", dict.fromkeys(SITES)) as made:
        work = (
            '[model]\nfunction = "work:new_model"\n[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'
        )
        job = write_job(
            tmp_path / "job", code=UNEVEN, toml=work, min_clients=3, num_rounds=ROUNDS, final_validation=False
        )
        run = await made.session.submit(job)
        for number, victim in ((20, SERVER), (40, "b"), (60, SERVER), (80, "c")):
            await made.until("update_accepted", run, round=number)  # one of three
            await made.kill(victim)
            await made.start(victim)
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1]
        arrived: list[tuple[str, ...]] = [()] * ROUNDS
        for event in events:
            if event.kind == "update_accepted":
                arrived[event.data["round"]] += (event.data["client"],)
        assert set(arrived) <= set(itertools.permutations(SITES)), "each site counts once in every round"
        assert len(set(arrived)) >= 3, "they were always first, second and third in the same order"
        models = (await made.session.facts("list_models", str(run)))["models"]
        digests = [model["digest"] for model in sorted(models, key=lambda model: model["version"])]
    assert digests == versions(tmp_path, SITES)
    assert set(digests[1:]).isdisjoint(versions(tmp_path, ("a", "c", "b"))), "the order does not show in the bits"
