"""A matrix of cross-site validation as a picture: a row for the data of each site, a column for each model."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput
from rondo.base.options import nearest

_CELL = 1.15  # inches
_DARK = 0.55  # share of the scale above which a number is written in white


def see_it_can() -> None:
    """Raises ``BadInput`` where matplotlib is not installed."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise BadInput("a heat map needs matplotlib", hint='pip install "rondo-fl[plots]", or ask for --csv') from None


def table(entries: Sequence[Mapping[str, Any]], metric: str) -> tuple[list[str], list[str], str, list[list[float]]]:
    """Sites, models, the metric ("" stands for the first by name), and its values by site and model; NaN: empty.

    Raises ``BadInput`` where there are no values of it.
    """
    known = sorted({name for entry in entries for name in entry["metrics"] or ()})
    if not known or (metric and metric not in known):
        hint = nearest(metric, known) if known else "every entry is empty: validate all says why"
        raise BadInput(f"there is no value of {metric or 'any metric'} to draw", where="--metric", hint=hint)
    name = metric or known[0]
    sites, models = (list(dict.fromkeys(str(entry[key]) for entry in entries)) for key in ("site", "model"))
    values = {(entry["site"], entry["model"]): (entry["metrics"] or {}).get(name, math.nan) for entry in entries}
    return sites, models, name, [[values[site, model] for model in models] for site in sites]


def draw(entries: Sequence[Mapping[str, Any]], metric: str, path: Path) -> None:
    """Write the picture (PNG). Raises ``BadInput`` where there is nothing to draw, ``NoSpace``."""
    sites, models, name, values = table(entries, metric)
    figures = importlib.import_module("matplotlib.figure")
    figure = figures.Figure(figsize=(_CELL * len(models) + 2.6, 0.62 * len(sites) + 2.2), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#e4e2dc")  # of an empty entry
    drawn = axes.imshow(values, cmap="viridis_r", aspect="auto")
    finite = [value for row in values for value in row if not math.isnan(value)]
    low, high = min(finite), max(finite)
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            share = (value - low) / (high - low) if high > low else 0.0
            colour = "white" if share > _DARK else "#1d1f21"
            text = "empty" if math.isnan(value) else f"{value:.3f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(models)), models, rotation=25, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(sites)), sites)
    axes.set_xlabel("model of")
    axes.set_ylabel("data of")
    axes.set_title(f"cross-site validation: {name}", loc="left", fontsize=12)
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, shrink=0.9, label=name)
    with disk_errors(path, "write the heat map"):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=150)
