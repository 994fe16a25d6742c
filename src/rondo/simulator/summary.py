"""The demo's result as a table on the terminal."""

from __future__ import annotations

from rich.table import Table

from rondo.simulator.figures import ALL, Results


def table(results: Results) -> Table:
    """AUC on held-out patients: a row a model, a column a clinic, and all patients together."""
    shown = Table(title="AUC on patients that no training has seen (0.5 is a guess, 1 is perfect)")
    shown.add_column("model")
    sites = [clinic.site for clinic in results.clinics]
    for column in (*sites, "all patients"):
        shown.add_column(column, justify="right")
    for row in results.rows:
        cells = [row.aucs.get(column) for column in (*sites, ALL)]
        style = "bold" if row.kind in ("last", "best") else ""
        shown.add_row(row.name, *("" if auc is None else f"{auc.value:.3f}" for auc in cells), style=style)
    return shown
