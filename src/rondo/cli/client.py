"""``rondo client``: run a client of a site."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rondo.base.errors import BadInput
from rondo.cli.provision import Format, Output

app = typer.Typer(help="Run a client: it dials out, trains here, and opens no port.", no_args_is_help=True)


@app.command()
def start(
    kit: Annotated[Path, typer.Argument(help="The site's opened kit: the folder that contains startup/.")],
    data: Annotated[
        Path | None, typer.Option("--data", envvar="RONDO_DATA", help="What trainers may see as the site's data.")
    ] = None,
) -> None:
    """Take part until SIGTERM, SIGINT or the admin's shutdown; keeps trying while the server is away."""
    from rondo.cli.programs import (  # noqa: PLC0415
        RESTART,
        VERSION,
        log_to,
        open_kit,
        settle,
        until_signalled,
    )
    from rondo.client.app import join  # noqa: PLC0415

    opened = open_kit(kit, "client")
    if data is not None and not data.exists():
        raise BadInput("there is no such folder", where=str(data), hint="--data names the site's data")
    log_to(opened.workspace, "log")

    async def program() -> str:
        async with until_signalled() as stop:
            return await join(opened, VERSION, data.resolve() if data else None, stop)

    settle()
    if asyncio.run(program()) == "restart":
        raise typer.Exit(RESTART)


@app.command()
def policy(
    kit: Annotated[Path, typer.Argument(help="The site's opened kit: the folder that contains startup/.")],
    example: Annotated[bool, typer.Option("--example", help="Print a site_policy.toml to begin with.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check site_policy.toml and print what this site allows. Exit code 3: a wrong file, 4: no sandbox to be had."""
    from rondo.client.policy import check_filters, read_policy  # noqa: PLC0415
    from rondo.client.told import in_force  # noqa: PLC0415
    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.net.kits import startup_folder  # noqa: PLC0415
    from rondo.policy.site import EXAMPLE, FILE  # noqa: PLC0415
    from rondo.worker.sandbox import see_it_works  # noqa: PLC0415

    workspace = startup_folder(kit).parent
    if example:
        typer.echo(EXAMPLE, nl=False)
        return
    found = read_policy(workspace)
    check_filters(found)
    if found.worker.sandbox == "bubblewrap":
        see_it_works()
    said = {"file": str(workspace / FILE) if (workspace / FILE).exists() else f"none: no {FILE} in {workspace}"}
    said |= in_force(found)
    if output == Format.JSON:
        typer.echo(pretty(said))
        return
    for subject, text in said.items():
        typer.echo(f"{subject + ':':<10} {text}")
