"""What a client says of its update or its measurements: checked before a byte is moved, before a row is written."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rondo.base.errors import BadInput
from rondo.rounds.crossing import UPLOADS
from rondo.wire import rondo_pb2 as pb

MOST_SAMPLES = 2.0**53  # the last whole number that a float counts to; more would only drown the others
MOST_METRICS = 1000
LONGEST_NAME = 200  # characters of a metric's name


def task_of(claim: pb.Claim) -> str:
    """Which task the file answers."""
    return claim.task or "train"


def check_claim(claim: pb.Claim, where: str) -> None:
    """Raises ``BadInput`` for numbers that no honest training has."""
    if claim.kind not in ("weights", "diff"):
        raise BadInput(f"unknown kind {claim.kind[:40]!r}", where=where, hint="weights or diff")
    if task_of(claim) not in UPLOADS:
        raise BadInput(f"a file for the task {claim.task[:40]!r}", where=where, hint=" or ".join(UPLOADS))
    check_samples(claim.samples, where)
    if not 0 <= claim.steps <= MOST_SAMPLES:
        raise BadInput(f"steps must be 0 to {MOST_SAMPLES:.0f}, got {claim.steps}", where=where)
    check_metrics(claim.metrics, where)
    check_metrics(claim.local_metrics, where)


def check_samples(samples: float, where: str) -> None:
    """Raises ``BadInput`` unless the number can weigh an update."""
    if not 0 < samples <= MOST_SAMPLES:
        raise BadInput(f"samples must be above 0 and at most {MOST_SAMPLES:.0f}, got {samples}", where=where)


def check_metrics(values: Mapping[str, float], where: str) -> None:
    """Raises ``BadInput`` for a value that is not finite, a very long name, or more metrics than anybody looks at."""
    if len(values) > MOST_METRICS:
        raise BadInput(f"{len(values)} metrics, more than {MOST_METRICS}", where=where)
    for name, value in values.items():
        if len(name) > LONGEST_NAME:
            raise BadInput(f"metric {name[:40]!r}... has a name of {len(name)} characters", where=where)
        if not math.isfinite(value):
            raise BadInput(f"metric {name!r} is {value}", where=where)
