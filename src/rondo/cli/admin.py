"""``rondo admin``: the console, or one of its commands."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.base.errors import BadInput, RondoError


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


KitPath = Annotated[Path, typer.Argument(help="The admin's opened kit: the folder that contains startup/.")]
KitOption = Annotated[Path, typer.Option("--kit", help="The admin's opened kit.", envvar="RONDO_KIT")]
Output = Annotated[Format, typer.Option("--format", help="How to print the answer.")]


def admin(
    kit: KitPath,
    command: Annotated[
        str | None,
        typer.Option("-c", "--command", help='One command, e.g. "check_status server" (default: the console).'),
    ] = None,
    user: Annotated[str, typer.Option("-u", "--user", help="Who logs in to the console (default: it asks).")] = "",
    yes: Annotated[bool, typer.Option("-y", "--yes", help="With -c: do not ask whether you are sure.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Open the console, or run one command. Exits with the code of the first error, also of a single site.

    Lines that are piped in are done one after another, in the name that the kit says.
    """
    if command is None:
        _console(kit, user)
        return
    from rondo.commands.seam import find, split  # noqa: PLC0415 - keeps `rondo --help` fast

    words = split(command)
    if not words:
        raise typer.BadParameter("an empty command", param_hint="-c")
    if getattr(find(words[0]), "CONFIRM", False) and not (yes or _sure(words[0])):
        raise typer.Abort
    run_command(kit, words, output)


def _sure(name: str) -> bool:
    """Ask the person; where there is none, raise ``BadInput``."""
    if not sys.stdin.isatty():
        raise BadInput(f"{name} needs to be confirmed", hint="-y says that you are sure")
    return input("Are you sure (Y/N): ").strip().lower() in ("y", "yes")


def _console(kit: Path, user: str) -> None:
    from rondo.cli.programs import VERSION, open_kit  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.console.console import converse  # noqa: PLC0415

    trouble = asyncio.run(converse(open_kit(kit, "admin"), VERSION, user))
    if trouble is not None:
        raise typer.Exit(trouble.exit_code)


def run_command(kit: Path, words: list[str], output: Format) -> None:
    """Log in, run one command, print what it answers. Raises its first error, also that of a single site."""
    from rondo.cli.programs import open_kit  # noqa: PLC0415 - keeps `rondo --help` fast

    asyncio.run(_run(open_kit(kit, "admin"), words, output))


async def _run(kit: Any, words: list[str], output: Format) -> None:
    from rondo.cli.programs import VERSION  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.console.bar import bar  # noqa: PLC0415
    from rondo.console.draw import as_json, as_text, done  # noqa: PLC0415
    from rondo.console.session import log_in, problems  # noqa: PLC0415

    rows: list[Any] = []
    began = time.monotonic()
    trouble: RondoError | None = None
    try:
        async with log_in(kit, VERSION) as session:
            with bar(" ".join(words)) as progress:
                async for row in session.rows(words[0], words[1:], progress):
                    rows.append(row)
                    if output is Format.TEXT and (text := as_text(row)):
                        typer.echo(text)
    except RondoError as error:
        trouble = error
    if output is Format.JSON:
        about = {"code": trouble.code, "what": trouble.what, "where": trouble.where} if trouble else None
        typer.echo(as_json(rows, about))
    elif trouble is None:
        typer.echo(done(int((time.monotonic() - began) * 1e6), datetime.now()))
    first = trouble or problems(rows)
    if first is not None:
        raise first
