"""Which round comes next. The machine, not its driver, knows what a run consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["train", "validate", "collect", "cross", "finish"]  # the third and fourth: rondo.rounds.crossing


@dataclass(frozen=True)
class Step:
    """``round`` of ``task``; it starts from model version ``version``. ``finish`` ends the run."""

    task: Task
    round: int
    version: int


class Workflow:
    """Scatter and gather (FedAvg, McMahan et al. 2017), then one round that only measures.

    Theory of operation. Rounds ``start_round .. num_rounds - 1`` train (the end is absolute and exclusive, as in
    Clara). Metrics that come back with round ``r`` are of the model it started from, version ``r``; the last
    version would never be measured, so a last round validates it where trainers can. Nothing to do is a finished
    run, not an error.
    """

    def __init__(self, start_round: int, num_rounds: int, final_validation: bool) -> None:
        self.start_round = start_round
        self.num_rounds = num_rounds
        self.final_validation = final_validation

    def resume(self, trained: int | None, validated: bool) -> Step:
        """The step to be in, given the last committed training round (None: none) and whether validation is done."""
        following = self.start_round if trained is None else trained + 1
        if following < self.num_rounds:
            return Step("train", following, following)
        if self.final_validation and not validated and trained is not None:
            return Step("validate", self.num_rounds, self.num_rounds)
        return Step("finish", self.num_rounds, self.num_rounds)

    def after(self, step: Step) -> Step:
        return self.resume(step.round if step.task == "train" else self.num_rounds - 1, step.task != "train")
