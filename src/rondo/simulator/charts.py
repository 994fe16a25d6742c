"""Two pictures as SVG text: the learning curve, and every model's AUC with its interval. Colours come from the page.

All coordinates are in the drawing's own units; it scales to the width it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from rondo.simulator.figures import ALL, Point, Row
from rondo.simulator.words import number

WIDTH = 720.0
LINE = 15.0  # the least distance between two lines of text

_LEFT, _RIGHT, _TOP = 44.0, 96.0, 14.0
_CURVE_HEIGHT = 330.0
_ROW = 30.0
_NAMES, _VALUES = 196.0, 120.0


def learning(points: Sequence[Point], sites: Sequence[str], best: int | None) -> str:
    """AUC by rounds trained: one thin line a clinic, the mean as a strong one, a ring around the best version.

    The first point, an untrained network, would press all others together: it is left to the caption. "" where
    fewer than two points are left.
    """
    shown = [point for point in points[1:] if not math.isnan(point.mean)]
    if len(shown) < 2:
        return ""
    bottom = _CURVE_HEIGHT - 40.0
    values = [value for point in shown for value in (point.mean, *point.sites.values())]
    low = max(0.0, math.floor(min(values) * 50.0) / 50.0)
    first, last = shown[0].version, shown[-1].version

    def x(version: float) -> float:
        return _LEFT + (version - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (1.0 - value) / (1.0 - low) * (bottom - _TOP)

    parts = [_grid(low, y), _versions([point.version for point in shown], x, bottom)]
    ends: list[tuple[float, str, str]] = []
    for place, site in enumerate(sites):
        line = [(x(p.version), y(p.sites[site])) for p in shown if site in p.sites]
        if line:
            parts.append(f'<polyline class="site s{place % 6}" points="{_path(line)}"/>')
            ends.append((line[-1][1], site, f"s{place % 6}"))
    mean = [(x(p.version), y(p.mean)) for p in shown]
    parts.append(f'<polyline class="mean" points="{_path(mean)}"/>')
    ends.append((mean[-1][1], f"mean {number(shown[-1].mean)}", "strong"))
    parts += [
        f'<circle class="ring" cx="{x(p.version):.1f}" cy="{y(p.mean):.1f}" r="5.5"><title>best: after '
        f"{p.version} rounds, {number(p.mean)}</title></circle>"
        for p in shown
        if p.version == best
    ]
    parts += _labels(ends, WIDTH - _RIGHT + 10.0, (_TOP, bottom))
    told = f"Mean AUC on validation patients, from {number(shown[0].mean)} to {number(shown[-1].mean)}"
    return _drawing(_CURVE_HEIGHT, told, parts)


def intervals(rows: Sequence[Row]) -> str:
    """One line a model: its AUC on all test patients and the 95 % interval."""
    drawn = [row for row in rows if not math.isnan(row.aucs[ALL].value)]
    lows = [row.aucs[ALL].value if math.isnan(row.aucs[ALL].low) else row.aucs[ALL].low for row in drawn]
    low = max(0.0, math.floor(min(lows, default=0.5) * 20.0) / 20.0)
    bottom = _TOP + _ROW * len(drawn)

    def x(value: float) -> float:
        return _NAMES + (value - low) / (1.0 - low) * (WIDTH - _NAMES - _VALUES)

    parts = []
    for mark in _marks(low):
        parts.append(f'<line class="grid" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(_text(x(mark), bottom + 18.0, f"{mark:.2f}", "axis middle"))
    for place, row in enumerate(drawn):
        auc, y = row.aucs[ALL], _TOP + _ROW * (place + 0.5)
        parts.append(_text(_NAMES - 14.0, y + 4.0, row.name, f"end {row.kind}"))
        if not math.isnan(auc.low):
            parts.append(
                f'<line class="whisker {row.kind}" x1="{x(auc.low):.1f}" x2="{x(auc.high):.1f}" y1="{y}" y2="{y}"/>'
            )
        parts.append(f'<circle class="dot {row.kind}" cx="{x(auc.value):.1f}" cy="{y}" r="4.5"/>')
        parts.append(_text(WIDTH - _VALUES + 16.0, y + 4.0, number(auc.value), f"value {row.kind}"))
    told = "AUC on all test patients: " + ", ".join(f"{row.name} {number(row.aucs[ALL].value)}" for row in drawn)
    return _drawing(bottom + 30.0, told, parts)


def spread(wanted: Sequence[float], least: float, limits: tuple[float, float]) -> list[float]:
    """Heights near ``wanted``, in the same order, at least ``least`` apart and within ``limits`` where they fit."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    heights = [min(max(wanted[place], limits[0]), limits[1]) for place in order]
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + least)
    if heights and heights[-1] > limits[1]:
        heights[-1] = limits[1]
        for place in range(len(heights) - 2, -1, -1):
            heights[place] = min(heights[place], heights[place + 1] - least)
    result = [0.0] * len(wanted)
    for place, height in zip(order, heights, strict=True):
        result[place] = height
    return result


def _grid(low: float, y: Callable[[float], float]) -> str:
    parts = []
    for mark in _marks(low):
        at = y(mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(_LEFT - 10.0, at + 4.0, f"{mark:.2f}", "axis end"))
    return "".join(parts)


def _versions(versions: Sequence[int], x: Callable[[float], float], bottom: float) -> str:
    step = max(1, math.ceil(len(versions) / 16))
    parts = [_text(x(version), bottom + 18.0, str(version), "axis middle") for version in versions[::step]]
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2.0, bottom + 36.0, "rounds the model has trained", "axis middle"))
    return "".join(parts)


def _labels(ends: Sequence[tuple[float, str, str]], x: float, limits: tuple[float, float]) -> list[str]:
    heights = spread([end[0] for end in ends], LINE, limits)
    return [_text(x, height + 4.0, text, kind) for height, (_, text, kind) in zip(heights, ends, strict=True)]


def _marks(low: float) -> list[float]:
    """Round figures from ``low`` to 1, five to ten of them."""
    step = next(step for step in (2, 5, 10, 20) if (1.0 - low) * 100.0 <= 8 * step or step == 20)
    first = math.ceil(round(low * 100.0, 6) / step) * step
    return [hundredths / 100.0 for hundredths in range(first, 101, step)]  # whole numbers, so that sums are exact


def _path(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in line)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _drawing(height: float, told: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(told)}">'
    return head + "".join(parts) + "</svg>"
