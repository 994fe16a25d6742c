"""Writes ``docs/benchmarks.md`` and the figures of README.md from what was measured.

``python -m benchmarks.pages`` writes; ``--check`` ends with 1, naming what differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import compare, peers, scale
from benchmarks.bars import BARS, TUNED, Figures, Lines, missed

HERE = Path(__file__).parent
ROOT = peers.ROOT
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
ALONE = HERE / "results" / "rondo.json"
NOTE = "<!-- Written from benchmarks/results by `make bench-pages`: measure again, do not change this page. -->"
BEGIN, END = "<!-- figures: written by `make bench-pages` -->\n", "<!-- end of figures -->"
TITLES = {
    "rondo": "Rondo",
    "nvflare": "NVFlare",
    "nvflare-best": "NVFlare, best tuning",
    "flower": "Flower",
    "flower-best": "Flower, best tuning",
}
CHOSEN = ("1x8", "64x4", "512x2")  # what README shows
HEAD = """\
What Rondo costs, measured on one machine, and the same work done by NVFlare 2.9.0 and Flower 1.42.0 beside it. Server
and clients are processes of their own, each system in its secure deployment, over the loopback interface. The work is
[one file](../benchmarks/work.py) that runs inside all three: a model of 20 float32 arrays with random values, and
"training" that adds a constant which differs by client, so that what is timed is the system, no two updates are alike,
and the right mean is known. Every value of the last model is checked. A MB of a model is 10^6 bytes, a MB of memory
2^20."""
FAIR = """\
- Seconds a round: the median of the rounds after the first, from the moment one round's model is there to the next;
  then the median over the runs. The contenders take turns, so what changes on the machine meets all alike.
- Peak memory: the kernel's own mark (VmHWM) of every process, added up over the processes of a role that lived at the
  same time. Below each table stands what a role consists of. What holds the user's own model and code and nothing else
  (Rondo's training worker and its worker of the first model, Flower's ClientApp) is listed and not counted. NVFlare
  trains inside its job process.
- Rondo writes each round's model to disk before it goes on, as it always does. NVFlare's and Flower's models stay in
  memory, in their favour.
- NVFlare's tensor streaming (`enable_tensor_streaming`) and disk offload (`enable_tensor_disk_offload`) are for PyTorch
  tensors alone: its recipe warns that NumPy is not offloaded, and the streamers import torch. Its streaming of NumPy
  arrays is on as it comes. The best tuning has what its guide to memory recommends for large models and the shortest
  intervals of its reference of timeouts that can still be set; its half second between looks for a result is fixed.
- In Flower's documentation we found no setting for speed or memory. The best tuning sets what its code reads from the
  environment; its two pauses of 3 seconds are fixed. It has no mutual TLS: clients sign with registered keys."""
AGAIN = """\
```text
make bench          Rondo alone, about 10 minutes
make bench-peers    beside NVFlare and Flower, which it installs into .bench/; an interrupted session goes on
make bench-scale    how seconds and memory grow
make bench-pages    the pictures, this page, and the figures of the README
python -m benchmarks.round --system nvflare --model-mb 64 --clients 4 --rounds 5 --tuning best    one line of JSON
```

Leave the machine alone meanwhile: `cpu_seconds_of_others` in every raw figure tells whether somebody did not."""


def load(path: Path) -> dict[str, Any]:
    """A file of results; empty if nothing was measured yet."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def figures(beside: Mapping[str, Any], grown: Mapping[str, Any], alone: Mapping[str, Any]) -> Figures:
    """What the three files say."""
    return Figures(compare.rows(beside.get("runs", [])), compare.rows(grown.get("runs", [])), alone.get("results", {}))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def page(beside: Mapping[str, Any], grown: Mapping[str, Any], alone: Mapping[str, Any]) -> str:
    """All of docs/benchmarks.md."""
    found = figures(beside, grown, alone)
    remarks = tomllib.loads((HERE / "remarks.toml").read_text())
    parts = [NOTE, "# Benchmarks", HEAD, "## Goals", _goals(found)]
    parts += _missed(found, remarks)
    parts += ["## Beside NVFlare and Flower", *_beside(beside, found.peers)]
    parts += ["### What makes it fair", FAIR]
    parts += ["## How it grows", *_growth(grown, found.scale)]
    parts += ["## Aggregation", *_folds(found)]
    parts += ["## Small parts", *_micro(found)]
    parts += ["## Measure again", AGAIN]
    return "\n\n".join(parts) + "\n"


def _goals(found: Figures) -> str:
    rows = []
    for bar in BARS:
        measured = bar.measure(found)
        shown = (measured.text, measured.verdict) if measured else ("not measured yet", "")
        rows.append((bar.what, bar.bar, bar.stretch, *shown))
    return table(("what", "bar", "stretch", "measured", "reached"), rows)


def _missed(found: Figures, remarks: Mapping[str, str]) -> Iterator[str]:
    lines = [f"- *{bar.what}*: {remarks.get(bar.key, 'not explained yet.')}" for bar in missed(found)]
    if lines:
        yield "### Missed, and why"
        yield "\n".join(lines)


def _machine(held: Mapping[str, Any]) -> str:
    about = held["machine"]
    when = f", {held['begun']} UTC" if "begun" in held else ""
    memory, python = f"{about['memory_gb']:.0f} GB of memory", f"Python {about['python']}"
    return f"{about['processor']}, {about['cores']} cores, {memory}, Linux {about['kernel']}, {python}{when}."


def _beside(held: Mapping[str, Any], rows: Sequence[compare.Row]) -> Iterator[str]:
    if not rows:
        yield "Not measured yet."
        return
    yield _machine(held)
    head, *lines = compare.table(rows)
    yield table(head, [[line[0], TITLES[line[1]], *line[2:]] for line in lines])
    if (PICTURES / "peers.svg").exists():
        yield "![Seconds a round and the server's peak memory of all three, by case](pictures/peers.svg)"
    yield "What a role consists of, in MB, in the last run of each (" + _last_case(held["runs"]) + "):"
    last = _last(held["runs"])
    yield table(("system", "server", "client", "not counted"), [_roles(name, one) for name, one in last.items()])
    yield "Versions and settings:"
    yield "\n".join(f"- **{TITLES[name]}**: {_settings(one)}" for name, one in last.items())


def _last_case(runs: Lines) -> str:
    return str(next(iter(_last(runs).values()))["case"])


def _last(runs: Lines) -> dict[str, Mapping[str, Any]]:
    """The last run of each contender, all of the same case: the largest that every one of them has done."""
    done = [one for one in runs if "failed" not in one]
    names = {compare.contender(one) for one in done}
    cases = [
        case
        for case in {one["case"] for one in done}
        if names == {compare.contender(one) for one in done if one["case"] == case}
    ]
    case = max(cases, key=compare.order)
    found = {compare.contender(one): one for one in done if one["case"] == case}
    return {name: found[name] for name in peers.CONTENDERS if name in found}


def _roles(name: str, one: Mapping[str, Any]) -> list[str]:
    apart = set(one["training"])
    server, client = one["server_consists_of"], one["client_consists_of"]

    def words(roles: Mapping[str, float], counted: bool) -> list[str]:
        return [f"{role} {mb:.0f}" for role, mb in roles.items() if (role not in apart) == counted and mb >= 1]

    not_counted = words(server, False) + words(client, False)
    return [TITLES[name], *(", ".join(part) for part in (words(server, True), words(client, True), not_counted))]


def _settings(one: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
    return f"{versions}; " + "; ".join(f"{name}: {value}" for name, value in one["settings"].items())


def _growth(held: Mapping[str, Any], rows: Sequence[compare.Row]) -> Iterator[str]:
    if not rows:
        yield "Not measured yet."
        return
    yield _machine(held)
    if (PICTURES / "growth.svg").exists():
        yield "![Seconds and memory against the size of the model and the number of clients](pictures/growth.svg)"
    yield "A dashed line goes through the origin and the largest point: what lies on it grows in proportion."
    shown = [
        (row.case, f"{row.seconds:.3g}", f"{row.server_mb:.0f}", f"{row.client_mb:.0f}", "yes" if row.correct else "NO")
        for row in rows
        if not row.failed
    ]
    yield table(("MB x clients", "s/round", "server MB", "client MB", "right"), shown)


def _folds(found: Figures) -> Iterator[str]:
    lines = found.alone.get("fold", ())
    if not lines:
        yield "Not measured yet."
        return
    yield (
        "GiB of updates a second that the server's worker folds: read, checked, reduced in float64, and the result "
        "digested and written (`fedopt`: with what it remembers, twice the model). The result costs as much for two "
        "sites as for thirty."
    )
    rows = []
    for one in lines:
        size, wall = f"{one['sites']} x {one['model_mib']:g}", f"{one['gib_per_second_wall']:.2f} on {one['threads']}"
        rows.append((one["rule"], size, f"{one['gib_per_second']:.2f}", wall, f"{one['worker_peak_mib']:.0f}"))
    yield table(("aggregator", "sites x MiB", "GiB/s, one core", "GiB/s, threads", "worker, MiB"), rows)


def _micro(found: Figures) -> Iterator[str]:
    lines = found.alone.get("micro", ())
    if not lines:
        yield "Not measured yet."
        return
    rows = [(one["name"], f"{one['median_ms']:.3g}", str(one.get("gib_per_second", ""))) for one in lines]
    yield table(("part", "median, ms", "GiB/s"), rows)


def _number(value: float) -> str:
    """Three digits, and never 1.07e+03."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figures_of_readme(found: Figures) -> str:
    """What somebody who chooses wants to know; empty until it was measured."""
    shown = [row for case in CHOSEN for row in found.peers if row.case == case and not row.failed]
    names = [name for name in ("rondo", "nvflare", *TUNED[:1], "flower") if any(row.contender == name for row in shown)]
    recovery = found.line("recovery")
    if len(names) < 2:
        return ""
    known = {(row.case, row.contender): row for row in shown}
    rows = []
    for what, value in (("seconds a round", "seconds"), ("server's peak memory, MB", "server_mb")):
        for case in CHOSEN:
            megabytes, clients = compare.order(case)
            cells = [known.get((case, name)) for name in names]
            words = [_number(getattr(row, value)) if row else "" for row in cells]
            rows.append((f"{what}, {megabytes:g} MB x {clients:g} clients", f"**{words[0]}**", *words[1:]))
    if recovery:
        seconds = f"**{recovery['median_seconds']:.2g} s**"
        rows.append(
            ("server killed (`kill -9`): until the round goes on", seconds, *("the run is lost" for _ in names[1:]))
        )
    text = table(("", *(TITLES[name] for name in names)), rows)
    return f"{text}\n\nHow this was measured, and what was missed: [benchmarks](docs/benchmarks.md).\n"


def readme(text: str, found: Figures) -> str:
    """README.md with its figures. Raises ``ValueError`` if the place for them is not there."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN.strip()} ... {END}")
    return before + begin + figures_of_readme(found) + end + after


def wanted() -> dict[Path, str]:
    """What the files should contain."""
    beside, grown, alone = load(peers.RESULTS), load(scale.RESULTS), load(ALONE)
    return {
        PAGE: page(beside, grown, alone),
        README: readme(README.read_text(encoding="utf-8"), figures(beside, grown, alone)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    differing = [
        path for path, text in wanted().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if check and differing:
        names = ", ".join(str(path.relative_to(ROOT)) for path in differing)
        sys.exit(f"{names}: not what benchmarks/results gives; run `make bench-pages`")
    for path in differing:
        path.write_text(wanted()[path], encoding="utf-8")


if __name__ == "__main__":
    main()
