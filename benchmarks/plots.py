"""Draws what was measured into ``docs/pictures/``.

``python -m benchmarks.plots`` draws ``growth.svg`` from ``results/scale.json`` (a dashed line goes through the origin
and the largest point: what is on it grows in proportion) and ``peers.svg`` from ``results/peers.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks import compare, peers, scale

PICTURES = peers.ROOT / "docs" / "pictures"
COLORS = {"rondo": "#0b6e4f", "nvflare": "#76923c", "nvflare-best": "#b7cf86", "flower": "#c47f17"}
COLORS |= {"flower-best": "#efc27b", "server": "#0b6e4f", "client": "#5b7db1"}
STYLE: Any = {
    "svg.hashsalt": "rondo",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


def draw_growth(rows: Sequence[compare.Row], into: Path) -> None:
    """Seconds and memory, against the size of the model and against the number of clients."""
    known = {row.case: row for row in rows if not row.failed}
    by_size = sorted((known[case] for case in scale.SIZES if case in known), key=lambda row: compare.order(row.case))
    by_clients = [known[case] for case in ("64x2", *scale.CLIENTS) if case in known]
    by_clients.sort(key=lambda row: compare.order(row.case)[1])
    figure, axes = pyplot.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
    for column, (title, found, place) in enumerate(
        (("MB of the model, 2 clients", by_size, 0), ("clients, model of 64 MB", by_clients, 1))
    ):
        x = [compare.order(row.case)[place] for row in found]
        _seconds(axes[0][column], x, [row.seconds for row in found], title)
        _memory(axes[1][column], x, found, title)
    _save(figure, into)


def _seconds(axes: Axes, x: Sequence[float], seconds: Sequence[float], title: str) -> None:
    axes.plot(x, seconds, "o-", color=COLORS["rondo"], markersize=4)
    if x:
        axes.plot([0, x[-1]], [0, seconds[-1]], "--", color="#888888", linewidth=1)
    axes.set(title="seconds a round", xlabel=title, xlim=(0, None), ylim=(0, None))


def _memory(axes: Axes, x: Sequence[float], rows: Sequence[compare.Row], title: str) -> None:
    for role, values in (("server", [row.server_mb for row in rows]), ("client", [row.client_mb for row in rows])):
        axes.plot(x, values, "o-", color=COLORS[role], label=role, markersize=4)
    axes.set(title="peak memory, MB", xlabel=title, xlim=(0, None), ylim=(0, None))
    axes.legend(loc="center right")


def draw_peers(rows: Sequence[compare.Row], into: Path) -> None:
    """Bars on a logarithmic scale: seconds a round and the server's peak, for every case that all ran."""
    cases = sorted({row.case for row in rows if row.contender != "rondo"}, key=compare.order)
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    names = [name for name in peers.CONTENDERS if any(row.contender == name for row in rows)]
    width = 0.8 / max(1, len(names))
    for place, name in enumerate(names):
        found = {row.case: row for row in rows if row.contender == name and not row.failed}
        here = [
            (at + (place - (len(names) - 1) / 2) * width, found[case]) for at, case in enumerate(cases) if case in found
        ]
        for axis, values in zip(axes, ([r.seconds for _, r in here], [r.server_mb for _, r in here]), strict=True):
            bars = axis.bar([at for at, _ in here], values, width * 0.92, color=COLORS[name], label=name)
            axis.bar_label(bars, [f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in values], fontsize=6)
    for axis, title in zip(axes, ("seconds a round", "peak memory of the server, MB"), strict=True):
        axis.set(title=title, yscale="log", xticks=range(len(cases)), xlabel="MB x clients")
        axis.set_ylim(bottom=min(bar.get_height() for bar in axis.patches) / 2)
        axis.set_xticklabels(cases)
        axis.yaxis.set_major_formatter("{x:g}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    _save(figure, into)


def _save(figure: matplotlib.figure.Figure, into: Path) -> None:
    into.parent.mkdir(exist_ok=True)
    figure.savefig(into, metadata={"Date": None} if into.suffix == ".svg" else {})
    pyplot.close(figure)


def main() -> None:
    """Draw what there are figures for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=Path, default=scale.RESULTS)
    parser.add_argument("--peers", type=Path, default=peers.RESULTS)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    parser.add_argument("--format", choices=("svg", "png"), default="svg")
    chosen = parser.parse_args()
    matplotlib.use("agg")
    for source, draw, name in ((chosen.scale, draw_growth, "growth"), (chosen.peers, draw_peers, "peers")):
        if source.exists():
            rows = compare.rows(json.loads(source.read_text())["runs"])
            with matplotlib.rc_context(STYLE):
                draw(rows, chosen.pictures / f"{name}.{chosen.format}")


if __name__ == "__main__":
    main()
