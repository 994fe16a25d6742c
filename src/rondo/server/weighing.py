"""How much each update of a round counts, as the job says (spec 12.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rondo.jobs.job import ServerPart
from rondo.ledger.rounds import Contribution


def weighed(
    server: ServerPart, updates: Sequence[Contribution], paths: Mapping[str, Path]
) -> list[dict[str, str | float | list[str]]]:
    """The updates as a request to fold names them: with the weight of each, which the aggregator normalises.

    A site's ``aggregation_weights`` multiply what the job weighs by; in Clara's literal form they scale what the site
    sent, and so do not stand in the denominator.
    """
    described: list[dict[str, Any]] = []
    for update in updates:
        size = {"samples": update.samples, "steps": update.steps or 1.0, "equal": 1.0}[server.weigh_by]
        given = server.aggregation_weights.get(update.client, 1.0)
        weight, scale = (size, given) if server.weights_scale else (given * size, 1.0)
        described.append(
            {
                "site": update.client, "path": str(paths[update.client]), "kind": update.kind,
                "omitted": list(update.omitted), "weight": weight, "scale": scale,
            }
        )  # fmt: skip
    return described
