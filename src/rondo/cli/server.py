"""``rondo server``: run the server of a project, and see what its disk holds."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.base.clock import SystemClock
from rondo.cli.admin import Format

app = typer.Typer(help="Run the server of a project, and see what its disk holds.", no_args_is_help=True)

Ledger = Annotated[
    str, typer.Option("--ledger", envvar="RONDO_LEDGER", help="SQLAlchemy URL of the ledger (default: SQLite here).")
]


class Durable(StrEnum):
    PROCESS = "process"
    DISK = "disk"


@app.command()
def start(
    kit: Annotated[Path, typer.Argument(help="The server's opened kit: the folder that contains startup/.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Abandon open runs instead of going on with them.")] = False,
    bind: Annotated[str, typer.Option("--bind", help="Address to listen on.")] = "[::]",
    ledger: Ledger = "",
    durable: Annotated[
        Durable,
        typer.Option(
            "--durable",
            envvar="RONDO_DURABLE",
            help="What an update that counts, and a committed model, survive: the end of the process (kill -9), "
            "or also a loss of power (each is synced to the disk first).",
        ),
    ] = Durable.PROCESS,
) -> None:
    """Serve until SIGTERM, SIGINT or the admin's shutdown. Open runs go on where they were."""
    from rondo.cli.programs import (  # noqa: PLC0415 - keeps `rondo --help` fast
        RESTART,
        log_to,
        open_kit,
        settle,
        until_signalled,
    )
    from rondo.server.app import Serving, serve  # noqa: PLC0415

    opened = open_kit(kit, "server")
    log_to(opened.workspace, "log")

    how = Serving(fresh=fresh, bind=bind, url=ledger, durable=durable is Durable.DISK)

    async def program() -> str:
        async with until_signalled() as stop:
            return await serve(opened, how, stop, lambda ports: None)

    settle()
    if asyncio.run(program()) == "restart":
        raise typer.Exit(RESTART)


@app.command()
def du(
    kit: Annotated[Path, typer.Argument(help="The server's opened kit (default: this folder).")] = Path("."),
    output: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    ledger: Ledger = "",
) -> None:
    """Show who uses what of the server's disk, by run and purpose, and what the next start sweeps.

    Reads ledger and folders and writes nothing; the server may run meanwhile. A file that is just being written may
    show as left behind.
    """
    from rondo.server.usage import usage  # noqa: PLC0415 - keeps `rondo --help` fast

    found = usage(kit, ledger, SystemClock().now())
    typer.echo(_as_json(found) if output is Format.JSON else _as_text(found))


def _as_json(found: Any) -> str:
    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast

    left = [{"path": str(one.path), "bytes": one.size, "what": one.kind} for one in found.leftovers]
    answer = {"workspace": str(found.workspace), "lines": found.lines, "left_behind": left, "free": found.free}
    return pretty(answer)


def _as_text(found: Any) -> str:
    from rondo.base.room import in_words  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.commands.rows import Table  # noqa: PLC0415
    from rondo.console.draw import as_text  # noqa: PLC0415

    rows = [[line.run or "-", line.what, line.files, in_words(line.bytes)] for line in found.lines]
    total = [
        "-",
        "all together",
        sum(one.files for one in found.lines),
        in_words(sum(one.bytes for one in found.lines)),
    ]
    table = as_text(Table(["run", "what", "files", "size"], [*rows, total, ["-", "free", "", in_words(found.free)]]))
    left = [f"{one.path.relative_to(found.workspace)}  {in_words(one.size)}  {one.kind}" for one in found.leftovers]
    return "\n".join([table, *(["Left behind, swept at the next start of the server:", *left] if left else [])])
