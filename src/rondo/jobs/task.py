"""What passes between a trainer and the world: a task comes in, an update goes out.

Values only. A ``Model`` is any mapping from tensor names to arrays; the worker hands in one that is mapped from
the model file, so that nothing is copied until the trainer asks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

TaskKind = Literal["train", "validate"]
UpdateKind = Literal["weights", "diff"]


@dataclass(frozen=True)
class Site:
    """Where a trainer runs.

    ``name`` is the client's instance name; ``data`` the folder (or file) the site chose for this project, if it
    chose one; ``workspace`` the run's own folder, writable, kept after the run; ``code`` the unpacked job.
    """

    name: str
    workspace: Path
    code: Path
    data: Path | None = None


@dataclass(frozen=True)
class Task:
    """One piece of work in round ``round`` of ``rounds`` (absolute numbers, end exclusive).

    ``seed`` is derived from the run's seed, the site and the round: equal inputs give equal numbers.
    """

    kind: TaskKind
    round: int
    rounds: int
    seed: int
    site: Site


@dataclass(frozen=True)
class Update:
    """What a trainer returns.

    ``tensors``: the new weights (``kind="weights"``) or their difference to the model received (``"diff"``), with
    the names, shapes and dtypes of that model. ``samples`` > 0 weighs this site in the mean. ``metrics`` are of
    the model *received* (model selection looks at them), ``local_metrics`` of the model trained here. ``steps``:
    local optimiser steps, where counted. ``omitted``: tensors of that model that stay at home; they are not in
    ``tensors``, and the mean is of the sites that sent them.
    """

    tensors: Mapping[str, Any]
    samples: float
    kind: UpdateKind = "weights"
    metrics: Mapping[str, float] = field(default_factory=dict)
    local_metrics: Mapping[str, float] = field(default_factory=dict)
    steps: float = 0.0
    omitted: Collection[str] = ()


def derive_seed(seed: str, *parts: str | int) -> int:
    """A number in [0, 2**63) that depends on every part and on their order, and on nothing else.

    SHA-256 over the parts, each preceded by its length (so that ``"ab", "c"`` differs from ``"a", "bc"``). A task's
    seed is ``derive_seed(seed of the run, site name, round)``.
    """
    words = [str(part).encode() for part in (seed, *parts)]
    text = b"".join(b"%d:%s," % (len(word), word) for word in words)
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
