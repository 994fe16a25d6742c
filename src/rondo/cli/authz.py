"""``rondo authz-preview``: ask a policy before anybody lives by it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def authz_preview(
    policy: Annotated[Path | None, typer.Option("-p", "--policy", help="authorization.json.")] = None,
    definitions: Annotated[
        Path | None,
        typer.Option("-d", "--definitions", help="Definitions of rights and rules, apart from the rest."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="The policy without these definitions (in place of -p).")
    ] = None,
) -> None:
    """Ask who may do what, by an authorization.json on this disk: `help` lists the questions, `bye` leaves.

    Lines may be piped in; the exit code is then that of the first error. The role `super` gets no shortcut here.
    """
    from rondo.console.authz import ask, read_policy  # noqa: PLC0415 - keeps `rondo --help` fast

    trouble = asyncio.run(ask(read_policy(policy, definitions, config)))
    if trouble is not None:
        raise typer.Exit(trouble.exit_code)
