"""``rondo doctor KIT``: what stands between this kit and its server."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, RondoError
from rondo.cli.provision import Format, Output

if TYPE_CHECKING:
    from rondo.provision.doctor import Finding


def doctor(
    kit: Annotated[Path, typer.Argument(help="Workspace that contains startup/.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each answer of the network.", min=0.1)] = 10.0,
    output: Output = Format.TABLE,
) -> None:
    """Check names, port, proxy, clock, certificates and disk space; name what is wrong. Exit code 3 if anything is."""
    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.provision.doctor import Surroundings, examine  # noqa: PLC0415

    findings = [*examine(kit, Surroundings(SystemClock().now(), os.environ, timeout)), *_policy(kit)]
    if output == Format.JSON:
        typer.echo(pretty([asdict(one) for one in findings]))
    else:
        colors = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "bad": typer.colors.RED}
        for one in findings:
            state = typer.style(f"{one.state:<4}", fg=colors[one.state], bold=True)
            typer.echo(f"{state}  {one.name}: {one.what}")
            if one.hint and one.state != "ok":
                typer.echo(f"      -> {one.hint}")
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(BadInput.exit_code)


def _policy(kit: Path) -> list[Finding]:
    """What is wrong with the policy of a site, where the kit is one."""
    from rondo.client.policy import check_filters, read_policy  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.net.kits import read_kit  # noqa: PLC0415
    from rondo.policy.site import FILE  # noqa: PLC0415
    from rondo.provision.doctor import Finding  # noqa: PLC0415
    from rondo.worker.sandbox import see_it_works  # noqa: PLC0415

    try:
        opened = read_kit(kit)
    except RondoError:
        return []  # said already
    if opened.role != "client":
        return []
    try:
        policy = read_policy(opened.workspace)
        check_filters(policy)
        if policy.worker.sandbox == "bubblewrap":
            see_it_works()
    except RondoError as error:
        return [Finding("policy", "bad", f"{error.where}: {error.what}" if error.where else error.what, error.hint)]
    there = (opened.workspace / FILE).exists()
    return [Finding("policy", "ok", f"{FILE} is in force" if there else f"no {FILE}: every signed job may run")]
