"""What the training worker of a run is asked, task by task; and what the site says of cross-site validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.client.rules import Rules
from rondo.jobs.job import Job
from rondo.jobs.task import derive_seed
from rondo.policy.site import FILE
from rondo.wire import rondo_pb2 as pb

KEEPS = f"this site keeps its local models: {FILE} [validation] local_models"
NOT_ASKED = "its job does not say both cross_validate and is_participating"
DOING = {"train": "training", "collect": "sending its best local model"}  # else: validating


@dataclass(frozen=True)
class Asking:
    """``rules``: what the site makes of the run of ``job``."""

    rules: Rules
    job: Job

    @property
    def prepared(self) -> pb.Prepared:
        """Ready, and whether for cross-site validation, too: what is not wanted twice, or not allowed, is not done."""
        if self.job.evaluation is not None:  # no model of this site's leaves
            return pb.Prepared(cross=True)
        if not self.job.client.crosses:
            return pb.Prepared(no_cross=NOT_ASKED)
        keeps = self.rules.policy.validation.local_models == "refuse"
        return pb.Prepared(cross=not keeps, no_cross=KEEPS if keeps else "")

    def request(self, work: pb.Work, model: Path) -> dict[str, Any]:
        """``model``: the file. The worker does not know for what a model is validated."""
        place = self.rules.place
        server, keep = self.job.server, None
        if self.prepared.cross and self.job.evaluation is None:
            keep = {"folder": str(place.work(self.rules.number)), "run": work.run}
            keep |= {"metric": server.best_metric, "mode": server.best_mode}
        return {
            "do": "validate" if work.task == "cross" else work.task, "round": work.round, "rounds": work.rounds,
            "model": str(model), "out": str(place.made / f"{place.instance}.update"),
            "seed": derive_seed(work.seed, place.instance, work.round), "keep": keep,
        }  # fmt: skip
