"""Show what cross-site validation found: ``validate all``, or ``validate SITE MODEL`` for one entry.

``SITE`` is the client whose data were used, ``MODEL`` a client, ``FL_global_model`` or ``best_FL_global_model``. The
text is Clara's: a dictionary by site, then by model. An empty entry is one that was not validated; why, stands below.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from rondo.base.errors import BadInput, Conflict, NotFound
from rondo.base.options import Options as BaseOptions
from rondo.base.options import nearest
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Table, Text, figures
from rondo.commands.seam import RunId

PERMISSION = "VIEW"
SCOPE = "validation"
EXAMPLE = "all"
HEAD = ("site", "model", "samples", "metric", "value", "why_empty")  # of the CSV

Line = Mapping[str, Any]  # an entry: site, model, samples, metrics (None: empty), why


class Options(BaseOptions, frozen=True):
    """``site``: "all", or a client whose data were used; then ``model``: which model. ``run``: its id, where it is not
    the run under way or the newest one."""

    site: str
    model: str = ""
    run: RunId | None = msgspec.field(default=None, name="--run")


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    line = await desk.runs.get(options.run) if options.run else await desk.runs.current()
    if line is None:
        raise Conflict("there was no run yet", hint="cross-site validation follows the training of a run")
    found = await desk.runs.crossed(line.id)
    if not found:
        hint = "it takes cross_validate and is_participating in the client's part of the job"
        raise Conflict(f"run {line.id} has no cross-site validation (it is {line.state})", hint=hint)
    chosen = _chosen(found, options)
    yield Text(str(nested(chosen)))
    yield Table(["DATA OF", "MODEL", "SAMPLES", "METRICS"], [_cells(entry) for entry in chosen])
    for entry in chosen:
        if entry["metrics"] is None:
            yield Text(f"empty: model {entry['model']} on the data of {entry['site']}: {entry['why']}")
    yield Facts({"run": line.id, "state": line.state, "results": nested(chosen), "entries": list(chosen)})


def _chosen(found: Sequence[Line], options: Options) -> list[Line]:
    if options.site == "all":
        if options.model:
            raise BadInput(f"syntax error: too many arguments: {options.model}", hint="validate all, or SITE MODEL")
        return list(found)
    if not options.model:
        raise BadInput("syntax error: missing model", hint="validate all, or validate SITE MODEL")
    for kind, name in (("site", options.site), ("model", options.model)):
        known = {str(entry[kind]) for entry in found}
        if name not in known:
            raise NotFound(f"no {kind} {name[:100]!r} in this cross-site validation", hint=nearest(name[:100], known))
    return [entry for entry in found if (entry["site"], entry["model"]) == (options.site, options.model)]


def _cells(entry: Line) -> list[Any]:
    if entry["metrics"] is None:
        return [entry["site"], entry["model"], "", ""]
    return [entry["site"], entry["model"], f"{entry['samples']:g}", figures(entry["metrics"])]


def nested(entries: Sequence[Line]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """In Clara's nesting: ``{site: {model: {"validation": {metric: value}}}}``; an empty entry is ``{}``."""
    matrix: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for entry in entries:
        metrics = entry["metrics"]
        found = {} if metrics is None else {"validation": dict(sorted(metrics.items()))}
        matrix.setdefault(entry["site"], {})[entry["model"]] = found
    return matrix


def reasons(entries: Sequence[Line]) -> dict[str, dict[str, str]]:
    """By site and model why the entry is empty."""
    told: dict[str, dict[str, str]] = {}
    for entry in entries:
        if entry["metrics"] is None:
            told.setdefault(entry["site"], {})[entry["model"]] = entry["why"]
    return told


def as_csv(entries: Sequence[Line]) -> str:
    """A line for every metric of every entry, and one for every empty entry (RFC 4180)."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(HEAD)
    for entry in entries:
        about = [entry["site"], entry["model"]]
        if entry["metrics"] is None:
            lines.writerow([*about, "", "", "", entry["why"]])
        for name, value in sorted((entry["metrics"] or {}).items()):
            lines.writerow([*about, f"{entry['samples']:g}", name, repr(value), ""])
    return text.getvalue()
