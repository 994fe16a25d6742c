"""Cross-site validation, decided: who is asked in which round, and which round comes next.

Theory of operation. After the last round that trains or validates, every site that takes part sends its best local
model (one round, ``collect``). Then each of these models, the last global one and the best are validated by all of
these sites at the same time, model after model (a round ``cross`` for each file). A round waits for a bounded time, and
what did not come by then stays empty: no round of these ever fails the run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rondo.rounds.orders import TRAINING
from rondo.rounds.workflow import Step

CROSSING = ("collect", "cross")  # tasks of cross-site validation
CROSSES = ("prepared", "validating")  # states of a participant that can do them
UPLOADS = ("train", "collect")  # tasks that are answered with a file
GLOBAL, BEST = "FL_global_model", "best_FL_global_model"


def asked(task: str, state: str, cross: bool) -> bool:
    """Whether a round of ``task`` is for a participant in ``state``; ``cross``: it does cross-site validation."""
    return cross and state in CROSSES if task in CROSSING else state in TRAINING


@dataclass(frozen=True)
class Crossed:
    """How far it is. ``taking_part``: whether anybody does; ``rounds``: of models that are to be validated, in order;
    ``done``: those that are over."""

    taking_part: bool = False
    collected: bool = False
    rounds: Sequence[int] = ()
    done: Collection[int] = ()


def following(last: int, version: int, crossed: Crossed) -> Step:
    """The step to be in once nobody trains any more. ``last``: a round number above which there was no round yet;
    ``version``: of the last global model."""
    if crossed.taking_part and not crossed.collected:
        return Step("collect", last + 1, version)
    for number in crossed.rounds:
        if number not in crossed.done:
            return Step("cross", number, version)
    return Step("finish", last, version)
