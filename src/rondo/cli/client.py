"""``rondo client``: run a client of a site."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rondo.base.errors import BadInput

app = typer.Typer(help="Run a client: it dials out, trains here, and opens no port.", no_args_is_help=True)


@app.command()
def start(
    kit: Annotated[Path, typer.Argument(help="The site's opened kit: the folder that contains startup/.")],
    data: Annotated[
        Path | None, typer.Option("--data", envvar="RONDO_DATA", help="What trainers may see as the site's data.")
    ] = None,
) -> None:
    """Take part until SIGTERM, SIGINT or the admin's shutdown; keeps trying while the server is away."""
    from rondo.cli.programs import RESTART, VERSION, log_to, open_kit, until_signalled  # noqa: PLC0415
    from rondo.client.app import join  # noqa: PLC0415

    opened = open_kit(kit, "client")
    if data is not None and not data.exists():
        raise BadInput("there is no such folder", where=str(data), hint="--data names the site's data")
    log_to(opened.workspace, "log")

    async def program() -> str:
        async with until_signalled() as stop:
            return await join(opened, VERSION, data.resolve() if data else None, stop)

    if asyncio.run(program()) == "restart":
        raise typer.Exit(RESTART)
