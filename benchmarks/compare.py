"""Medians and ratios of the runs that ``benchmarks.peers`` collected. Pure: from records to rows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]  # one line of ``benchmarks.round``, or what failed: {"case", "contender", "failed"}


@dataclass(frozen=True)
class Row:
    """Medians over the runs of one contender in one case. MB are 10^6 bytes of the model, 2^20 of memory.

    ``times``: its seconds a round as a multiple of Rondo's; ``memory_times``: its server's peak likewise. ``failed``:
    why it has no figures.
    """

    case: str
    contender: str
    runs: int = 0
    seconds: float = 0.0
    server_mb: float = 0.0
    client_mb: float = 0.0
    times: float = 0.0
    memory_times: float = 0.0
    correct: bool = False
    failed: str = ""


def contender(record: Record) -> str:
    """``nvflare-best``; the tuning that everybody starts with is not named."""
    if "contender" in record:
        return str(record["contender"])
    return record["system"] if record["tuning"] == "default" else f"{record['system']}-{record['tuning']}"


def order(case: str) -> tuple[float, float]:
    """Cases by size."""
    megabytes, _, clients = case.partition("x")
    return float(megabytes), float(clients)


def rows(records: Iterable[Record]) -> list[Row]:
    """One row for each case and contender that was run; Rondo first in its case, as the measure of the others."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["case"], contender(record)), []).append(record)
    found = []
    for case, name in sorted(groups, key=lambda key: (order(key[0]), key[1] != "rondo", key[1])):
        rondo = [one for one in groups.get((case, "rondo"), []) if "failed" not in one]
        found.append(_row(case, name, groups[case, name], rondo))
    return found


def _row(case: str, name: str, records: list[Record], rondo: list[Record]) -> Row:
    done = [one for one in records if "failed" not in one]
    if not done:
        return Row(case, name, len(records), failed=str(records[-1]["failed"]).splitlines()[0])
    seconds, server = median(done, "seconds_per_round"), median(done, "server_peak_mb")
    return Row(
        case,
        name,
        len(done),
        seconds,
        server,
        median(done, "client_peak_mb"),
        seconds / median(rondo, "seconds_per_round") if rondo else 0.0,
        server / median(rondo, "server_peak_mb") if rondo else 0.0,
        all(one["correct"] for one in done),
    )


def median(records: Iterable[Record], figure: str) -> float:
    return float(statistics.median(one[figure] for one in records))


def fastest(found: Iterable[Row], case: str, tunings: Iterable[str]) -> Row | None:
    """The fastest row of the others in ``case``, of those contenders; None if none has figures."""
    wanted = set(tunings)
    able = [row for row in found if row.case == case and row.contender in wanted and not row.failed]
    return min(able, key=lambda row: row.seconds, default=None)


def table(found: Iterable[Row]) -> list[list[str]]:
    """Head and rows for a reader."""
    head = ["MB x clients", "system", "runs", "s/round", "x Rondo", "server MB", "x Rondo", "client MB", "right"]
    lines = [head]
    for row in found:
        if row.failed:
            lines.append([row.case, row.contender, str(row.runs), row.failed, "", "", "", "", ""])
            continue
        lines.append(
            [
                row.case,
                row.contender,
                str(row.runs),
                f"{row.seconds:.3g}",
                f"{row.times:.3g}" if row.times else "",
                f"{row.server_mb:.0f}",
                f"{row.memory_times:.3g}" if row.memory_times else "",
                f"{row.client_mb:.0f}",
                "yes" if row.correct else "NO",
            ]
        )
    return lines
