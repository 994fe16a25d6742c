"""``rondo mmar``: look through an MMAR before it is uploaded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.base.errors import BadInput
from rondo.cli.admin import Format, Output

app = typer.Typer(help="Work with MMARs of Clara.", no_args_is_help=True)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="The MMAR: the folder that contains config/.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A variable, KEY=VALUE; wins over the files.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Want config_validation_ckpt.json in any case.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Find all that can be found without data: missing files, unknown components, wrong arguments, variables without
    a value, data lists that name missing files. Each with file, line and column. Exits with 3 where there is an error;
    a warning says what will be done about something odd."""
    from rondo.jobs.findings import Findings  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.jobs.mmar import MARKS  # noqa: PLC0415

    if not any((folder / name).is_file() for name in MARKS):
        raise BadInput("no MMAR here", where=str(folder), hint=f"it would have {MARKS[0]}")
    given = dict(_variable(text) for text in set_ or ())
    findings: Findings = asyncio.run(_found(folder.resolve(), given, strict))
    _show(findings, output)
    errors = len(findings.errors)
    if errors:
        raise BadInput(f"{errors} {'errors' if errors > 1 else 'error'}", where=str(folder))


def _variable(text: str) -> tuple[str, Any]:
    """``KEY=VALUE``; numbers, true, false and null are what they look like."""
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, msgspec.json.decode(value.lower() if value in ("True", "False") else value)
    except msgspec.DecodeError:
        return key, value


async def _found(folder: Path, given: dict[str, Any], strict: bool) -> Any:
    from rondo.jobs.check import check_choices, check_files, check_sources  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.jobs.mmar import check_lists, look_at, open_mmar  # noqa: PLC0415
    from rondo.worker.looking import look_closely  # noqa: PLC0415

    mmar = open_mmar(folder, given)
    job = look_at(mmar, strict)
    check_lists(mmar, outside=True)
    with mmar.findings.collecting():
        check_sources(folder)
    if job is not None:
        with mmar.findings.collecting():
            check_choices(job)
        with mmar.findings.collecting():
            check_files(job, folder)
    mmar.findings.add(await look_closely("mmar", folder, given))
    return mmar.findings


def _show(findings: Any, output: Format) -> None:
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast

    errors = len(findings.errors)
    if output is Format.JSON:
        rows = [{"level": f.level, "what": f.what, "where": f.where, "hint": f.hint} for f in findings.found]
        told = {"errors": errors, "warnings": len(rows) - errors, "findings": rows}
        typer.echo(msgspec.json.encode(told).decode())
        return
    for finding in findings.found:
        typer.echo(f"{finding.level}: {finding}")
    if not errors:
        typer.echo("nothing wrong found")
