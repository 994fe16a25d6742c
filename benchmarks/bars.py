"""What Rondo is to reach, and what of the figures shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import compare

Lines = Sequence[Mapping[str, Any]]
DEFAULTS, TUNED = ("nvflare", "flower"), ("nvflare-best", "flower-best")


@dataclass(frozen=True)
class Figures:
    """All that was measured: rows of ``benchmarks.peers`` and ``benchmarks.scale``, and the lines of the other
    benchmarks by module."""

    peers: Sequence[compare.Row] = ()
    scale: Sequence[compare.Row] = ()
    alone: Mapping[str, Lines] = field(default_factory=dict)

    def rondo(self) -> list[compare.Row]:
        """Rondo's own rows of both, those beside the peers first."""
        return [row for row in (*self.peers, *self.scale) if row.contender == "rondo" and not row.failed]

    def row(self, case: str) -> compare.Row | None:
        return next((row for row in self.rondo() if row.case == case), None)

    def line(self, module: str, **like: Any) -> Mapping[str, Any] | None:
        """The newest line of a benchmark that has these values."""
        found = [line for line in self.alone.get(module, ()) if like.items() <= line.items()]
        return found[-1] if found else None


@dataclass(frozen=True)
class Measured:
    """``text`` for the table; whether the bar and the stretch goal are reached."""

    text: str
    reached: bool
    stretched: bool = False

    @property
    def verdict(self) -> str:
        return "stretch" if self.stretched else "yes" if self.reached else "**no**"


@dataclass(frozen=True)
class Bar:
    """``measure`` gives None where there are no figures yet."""

    key: str
    what: str
    bar: str
    stretch: str
    measure: Callable[[Figures], Measured | None]


def at_most(value: float, bar: float, stretch: float, text: str) -> Measured:
    return Measured(text, value <= bar, value <= stretch)


def at_least(value: float, bar: float, stretch: float, text: str) -> Measured:
    return Measured(text, value >= bar, value >= stretch)


def faster(case: str, bar: tuple[float, float], stretch: tuple[float, float]) -> Callable[[Figures], Measured | None]:
    """Times faster than the faster of the others, as they come and at their best tuning."""

    def measure(figures: Figures) -> Measured | None:
        others = [compare.fastest(figures.peers, case, names) for names in (DEFAULTS, TUNED)]
        own = next((row for row in figures.peers if (row.case, row.contender) == (case, "rondo")), None)
        found = [
            other.seconds / own.seconds for other in others if other is not None and own is not None and own.seconds
        ]
        if len(found) < 2:
            return None
        reached, stretched = (all(a >= b for a, b in zip(found, goal, strict=True)) for goal in (bar, stretch))
        return Measured(f"{found[0]:.1f} / {found[1]:.1f} times", reached, stretched)

    return measure


def largest(figures: Figures) -> Measured | None:
    row = figures.row("2048x2")
    if row is None:
        return None
    return Measured(f"{row.seconds:.1f} s a round, {'right' if row.correct else 'WRONG'}", row.correct)


def empty_round(figures: Figures) -> Measured | None:
    line = figures.line("round", case="0.001x4")
    if line is None:
        return None
    return at_most(line["seconds_per_round"], 0.03, 0.015, f"{1000 * line['seconds_per_round']:.0f} ms")


def line_speed(figures: Figures) -> Measured | None:
    line = figures.line("transfer", layer="checked")
    if line is None:
        return None
    speed = f"{100 * line['share']:.0f} % ({line['mib_per_second'] / 1024:.2f} GiB/s)"
    return at_least(line["share"], 0.6, 0.8, speed)


def server_memory(figures: Figures) -> Measured | None:
    """Together with the aggregation worker, and how it grows from 64 MB x 2 to the largest there is."""
    rows = figures.rondo()
    if not rows:
        return None
    most = max(row.server_mb for row in rows)
    first, last = figures.row("64x2"), figures.row("2048x8")
    if first is None or last is None:
        return at_most(most, 250, 0, f"{most:.0f} MB; growth not measured")
    growth = last.server_mb / first.server_mb - 1
    text = f"{most:.0f} MB, {100 * growth:+.0f} %"
    return Measured(text, most <= 250 and growth <= 0.1, most <= 150 and growth <= 0.1)


def client_memory(figures: Figures) -> Measured | None:
    most = max((row.client_mb for row in figures.rondo()), default=0.0)
    return at_most(most, 120, 90, f"{most:.0f} MB") if most else None


def memory_beside(figures: Figures) -> Measured | None:
    """The least of the others' servers at 512 MB x 2."""
    rows = [row for row in figures.peers if row.case == "512x2" and not row.failed]
    others = [row.memory_times for row in rows if row.contender != "rondo" and row.memory_times]
    return at_least(min(others), 16, 28, f"{min(others):.0f} times less") if others else None


def aggregation(figures: Figures) -> Measured | None:
    line = figures.line("fold", rule="mean")
    if line is None:
        return None
    return at_least(line["gib_per_second"], 2, 3.5, f"{line['gib_per_second']:.1f} GiB/s")


def idle_clients(figures: Figures) -> Measured | None:
    line = figures.line("idle")
    if line is None:
        return None
    slowest = max(times["p99"] for times in line["check_status_ms"].values())
    reached = line["clients"] >= 2000 and line["kb_each"] <= 150 and slowest < 200
    text = f"{line['clients']} at {line['kb_each']:.0f} KB, p99 {slowest:.0f} ms"
    return Measured(text, reached, reached and line["clients"] >= 10_000)


def to_first_task(figures: Figures) -> Measured | None:
    line = figures.line("submit")
    if line is None:
        return None
    return at_most(line["median"], 1.0, 0.5, f"{line['median']:.2f} s")


def asked(figures: Figures) -> Measured | None:
    line = figures.line("ask")
    if line is None:
        return None
    return at_most(line["median_ms"], 50, 20, f"{line['median_ms']:.0f} ms")


def flat_memory(figures: Figures) -> Measured | None:
    line = figures.line("flat")
    if line is None:
        return None
    # Of the processes that live on between rounds; the worker's figure is of whatever it is just doing.
    growth = max(line["growth"].get(f"{role}_anon", 0.0) for role in ("server", "clients"))
    return at_most(growth, 2.0, 0.5, f"{growth:+.1f} % after {line['rounds']} rounds")


BARS = (
    Bar("1x8", "times faster a round than the faster of the others as they come / at their best tuning, 1 MB x 8",
        "30 / 12", "60 / 25", faster("1x8", (30, 12), (60, 25))),
    Bar("64x4", "the same, 64 MB x 4", "6 / 5", "9 / 8", faster("64x4", (6, 5), (9, 8))),
    Bar("512x2", "the same, 512 MB x 2", "5 / 3", "7 / 4.5", faster("512x2", (5, 3), (7, 4.5))),
    Bar("2048x2", "2 GB x 2 clients, 5 rounds", "finishes, model right", "", largest),
    Bar("empty", "empty round (1 KB model, 4 clients), median of 100", "30 ms", "15 ms", empty_round),
    Bar("line", "bytes a second through one server, both ways, as a share of raw TLS sockets between those processes",
        "60 %", "80 %", line_speed),
    Bar("server", "peak memory of the server with its aggregation worker; its growth from 64 MB x 2 to 2 GB x 8",
        "250 MB, +10 %", "150 MB", server_memory),
    Bar("beside", "the same, beside the best of the others at 512 MB x 2", "16 times less", "28 times less",
        memory_beside),
    Bar("client", "peak memory of a client process, without the training worker", "120 MB", "90 MB", client_memory),
    Bar("aggregation", "aggregation of updates on one core: mean, float64 accumulation", "2 GiB/s", "3.5 GiB/s",
        aggregation),
    Bar("idle", "idle clients of one server over mutual TLS; `check_status` p99 while 2 GB moves",
        "2,000 at 150 KB, 200 ms", "10,000", idle_clients),
    Bar("submit", "`submit` to the first task in a client's worker", "1 s", "0.5 s", to_first_task),
    Bar("ask", "`check_status client` of one client, there and back, median of 100", "50 ms", "20 ms", asked),
    Bar("flat", "memory after 1,000 rounds (1 MB x 4) against after 50", "+2 %", "flat", flat_memory),
)  # fmt: skip


def missed(figures: Figures) -> Iterable[Bar]:
    """Those with figures that do not reach the bar."""
    for bar in BARS:
        found = bar.measure(figures)
        if found is not None and not found.reached:
            yield bar
