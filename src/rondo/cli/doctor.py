"""``rondo doctor KIT``: what stands between this kit and its server."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput
from rondo.cli.provision import Format, Output


def doctor(
    kit: Annotated[Path, typer.Argument(help="Workspace that contains startup/.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each answer of the network.", min=0.1)] = 10.0,
    output: Output = Format.TABLE,
) -> None:
    """Check names, port, proxy, clock, certificates and disk space; name what is wrong. Exit code 3 if anything is."""
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast

    from rondo.provision.doctor import Surroundings, examine  # noqa: PLC0415

    findings = examine(kit, Surroundings(SystemClock().now(), os.environ, timeout))
    if output == Format.JSON:
        typer.echo(msgspec.json.format(msgspec.json.encode([asdict(one) for one in findings]), indent=2).decode())
    else:
        colors = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "bad": typer.colors.RED}
        for one in findings:
            state = typer.style(f"{one.state:<4}", fg=colors[one.state], bold=True)
            typer.echo(f"{state}  {one.name}: {one.what}")
            if one.hint and one.state != "ok":
                typer.echo(f"      -> {one.hint}")
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(BadInput.exit_code)
