"""``rondo server``: run the server of a project."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run the server of a project.", no_args_is_help=True)


@app.command()
def start(
    kit: Annotated[Path, typer.Argument(help="The server's opened kit: the folder that contains startup/.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Abandon open runs instead of going on with them.")] = False,
    bind: Annotated[str, typer.Option("--bind", help="Address to listen on.")] = "[::]",
    ledger: Annotated[
        str,
        typer.Option("--ledger", envvar="RONDO_LEDGER", help="SQLAlchemy URL of the ledger (default: SQLite here)."),
    ] = "",
) -> None:
    """Serve until SIGTERM, SIGINT or the admin's shutdown. Open runs go on where they were."""
    from rondo.cli.programs import log_to, open_kit, until_signalled  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.server.app import Serving, serve  # noqa: PLC0415

    opened = open_kit(kit, "server")
    log_to(opened.workspace, "log")

    async def program() -> None:
        async with until_signalled() as stop:
            await serve(opened, Serving(fresh=fresh, bind=bind, url=ledger), stop, lambda ports: None)

    asyncio.run(program())
