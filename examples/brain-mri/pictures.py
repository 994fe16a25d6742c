"""The three pictures of a run: what the scanners see, how the model learned, and every model at every site."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from matplotlib.figure import Figure

from rondo.cli.heatmap import draw as draw_heat_map

__all__ = ["draw_curves", "draw_heat_map", "draw_scanners"]


def draw_scanners(data: Path, path: Path) -> None:
    """The middle slice of each site's first subject, and its labels."""
    sites = sorted(path.parent for path in data.glob("*/dataset.json"))
    figure = Figure(figsize=(2.2 * len(sites), 4.6), layout="constrained")
    axes = figure.subplots(2, len(sites), squeeze=False)
    for column, site in enumerate(sites):
        case = json.loads((site / "dataset.json").read_text())["training"][0]
        for row, (kind, colours) in enumerate((("image", "gray"), ("label", "viridis"))):
            volume = np.asarray(nibabel.load(site / case[kind]).dataobj)
            axes[row][column].imshow(volume[:, :, volume.shape[2] // 2].T, cmap=colours, origin="lower")
            axes[row][column].set_axis_off()
        axes[0][column].set_title(site.name)
    _save(figure, path)


def draw_curves(metrics: Sequence[Mapping[str, Any]], metric: str, path: Path) -> None:
    """Dice of the global model that each site received, round by round, on that site's data."""
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    found = [one for one in metrics if one["name"] == metric and one["scope"] == "global"]
    for site in sorted({one["client"] for one in found}):
        points = sorted((one["round"], one["value"]) for one in found if one["client"] == site)
        axes.plot(*zip(*points, strict=True), "o-", markersize=3, label=site)
    axes.set(xlabel="rounds trained", ylabel="Dice", ylim=(0, 1))
    axes.set_title("the federated model on each site's validation volumes", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
