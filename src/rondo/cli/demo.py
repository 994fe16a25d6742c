"""``rondo demo``: four clinics train one model, with everything real but the distance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to work (default: a new rondo-demo-... here).")
    ] = None,
    crash: Annotated[
        bool, typer.Option("--crash", help="Kill -9 the server and a clinic on the way, and watch.")
    ] = False,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="How many rounds (default: the job's).")] = None,
) -> None:
    """Provision kits, start a server and four clinics, train on real patient records, and write a report."""
    from rondo.simulator.demo import run_demo  # noqa: PLC0415 - keeps `rondo --help` fast

    run_demo(folder, crash=crash, rounds=rounds)
