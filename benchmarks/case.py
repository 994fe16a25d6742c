"""What is measured, and what was found: the seam between ``benchmarks.round`` and the systems."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks import work


class Failed(Exception):
    """A system did not do its work; the message says what was seen, with the end of its logs."""


@dataclass(frozen=True)
class Case:
    """One measurement. ``megabytes`` are 10^6 bytes; ``seconds``: how long the whole of it may take.

    ``tuning``: ``default``, as the system starts when nobody changes anything, or ``best``, what its documentation
    and code offer for speed and memory.
    """

    megabytes: float
    clients: int
    rounds: int
    tuning: str = "default"
    seconds: float = 900.0

    @property
    def name(self) -> str:
        """``64x4``"""
        return f"{self.megabytes:g}x{self.clients}"


@dataclass(frozen=True)
class Result:
    """What one run of a case gave.

    ``seconds``: of each round, the first with everything that only happens once.
    ``peaks``: MB by owner and role, ``{"server": {"server": 80.1, "worker": 60.2}, "client 0": {...}}``.
    ``training``: roles of processes that hold the user's own model and code; they are told apart and not counted as
    the client's or the server's.
    """

    seconds: Sequence[float]
    peaks: Mapping[str, Mapping[str, float]]
    correct: bool
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    training: Sequence[str] = ()
    noise: Mapping[str, float] = field(default_factory=dict)


class System(Protocol):
    """A module of ``benchmarks.systems``."""

    def measure(self, case: Case, folder: Path) -> Result:
        """Deploy, run, check, stop. ``folder`` is empty and goes away afterwards. Raises ``Failed``."""


def steady(seconds: Sequence[float]) -> float:
    """Median of the rounds after the first; of the only one if there is one."""
    return statistics.median(seconds[1:] or seconds)


def figures(system: str, case: Case, found: Result) -> dict[str, Any]:
    """The line of JSON."""
    server = found.peaks["server"]
    clients = [roles for owner, roles in found.peaks.items() if owner.startswith("client")]
    names = sorted({role for roles in clients for role in roles})
    own = [sum(mb for role, mb in roles.items() if role not in found.training) for roles in clients]
    return {
        "system": system,
        "tuning": case.tuning,
        "case": case.name,
        "model_mb": case.megabytes,
        "clients": case.clients,
        "rounds": case.rounds,
        "seconds_per_round": round(steady(found.seconds), 4),
        "first_round_seconds": round(found.seconds[0], 4),
        "round_seconds": [round(one, 4) for one in found.seconds],
        "server_peak_mb": round(sum(mb for role, mb in server.items() if role not in found.training), 1),
        "client_peak_mb": round(max(own), 1),
        "client_with_training_mb": round(max(sum(roles.values()) for roles in clients), 1),
        "server_consists_of": {role: round(mb, 1) for role, mb in server.items()},
        "client_consists_of": {role: round(max(one.get(role, 0.0) for one in clients), 1) for role in names},
        "training": list(found.training),
        "bytes_moved": 2 * case.clients * case.rounds * work.size(case.megabytes),
        "correct": found.correct,
        "settings": dict(found.settings),
        "versions": dict(found.versions),
        **found.noise,
    }
