"""``rondo provision``: start-up kits from a project file; ``renew`` and ``revoke``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondo.base.clock import SystemClock
from rondo.base.errors import NotFound

if TYPE_CHECKING:
    from rondo.provision.issue import Order, Outcome

app = typer.Typer(help="Make start-up kits for every participant of a project.", no_args_is_help=False)


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


ProjectFile = Annotated[
    Path | None, typer.Option("-p", "--project-file", help="The project file (default: the project.yml here).")
]
OutFolder = Annotated[Path, typer.Option("-o", "--output-dir", help="Folder for the zip files.")]
StateFolder = Annotated[
    Path | None, typer.Option("-s", "--state", help="State folder (default: state/ beside the project file).")
]
AuthzFile = Annotated[
    Path | None,
    typer.Option("-a", "--authz", help="Authorization policy, JSON (default: authz_config.json beside the project)."),
]
Plain = Annotated[bool, typer.Option("-n", "--no-zip-password", help="Leave the zip files unencrypted.")]
ServerKits = Annotated[
    list[Path] | None, typer.Option("--server-kit", help="An opened server kit on this machine to bring up to date.")
]
Names = Annotated[list[str], typer.Argument(help="Participants, as in the project file; or: server.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; the server shows it to whoever is refused.")]
Output = Annotated[Format, typer.Option("--format", help="How to print the result.")]


@app.callback(invoke_without_command=True)
def provision(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    project_file: ProjectFile = None,
    out: OutFolder = Path("kits"),
    state: StateFolder = None,
    authz: AuthzFile = None,
    plain: Plain = False,
    server_kit: ServerKits = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a kit for every participant who has none yet; nobody else's kit is touched.

    Each kit is an encrypted zip file with a password of its own, shown once: send the two on different ways.
    """
    if context.invoked_subcommand is not None:
        _check_nothing_given(context, context.invoked_subcommand)
        return
    from rondo.provision import issue  # noqa: PLC0415 - keeps `rondo --help` fast

    order = _order(project_file, out, state, authz, plain, server_kit)
    _show(issue.provision(order, SystemClock().now()), output)


def _check_nothing_given(context: typer.Context, subcommand: str) -> None:
    """An option before the subcommand would be for nothing: say so instead of revoking in another project."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"give --{name.replace('_', '-')} after {subcommand}, not before it")


@app.command()
def renew(  # noqa: PLR0913 - the options of a command line
    names: Names,
    project_file: ProjectFile = None,
    out: OutFolder = Path("kits"),
    state: StateFolder = None,
    authz: AuthzFile = None,
    plain: Plain = False,
    server_kit: ServerKits = None,
    revoke_old: Annotated[bool, typer.Option("--revoke", help="Revoke the earlier certificates at once.")] = False,
    reason: Reason = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a new key, certificate and kit; the earlier certificate stays valid until it expires."""
    from rondo.provision import issue  # noqa: PLC0415 - keeps `rondo --help` fast

    order = _order(project_file, out, state, authz, plain, server_kit)
    _show(issue.renew(order, names, SystemClock().now(), revoke_old=revoke_old, reason=reason), output)


@app.command()
def revoke(
    names: Names,
    project_file: ProjectFile = None,
    state: StateFolder = None,
    server_kit: ServerKits = None,
    reason: Reason = "",
    output: Output = Format.TABLE,
) -> None:
    """Shut participants out: their certificates go on the signed list that the server reads."""
    from rondo.provision import issue, revoke  # noqa: PLC0415 - keeps `rondo --help` fast

    folder = state or _project_file(project_file).parent / "state"
    notes = revoke.revoke(folder, names, tuple(server_kit or ()), SystemClock().now(), reason)
    _show(issue.Outcome((), (), tuple(notes)), output)


def _project_file(given: Path | None) -> Path:
    if given is not None:
        return given
    found = [path for path in (Path("project.yml"), Path("project.yaml")) if path.is_file()]
    if len(found) == 1:
        return found[0]
    what = "there are project.yml and project.yaml" if found else "there is no project.yml"
    raise NotFound(what, where=str(Path.cwd()), hint="name the project file with -p")


def _order(
    project_file: Path | None,
    out: Path,
    state: Path | None,
    authz: Path | None,
    plain: bool,
    server_kits: list[Path] | None,
) -> Order:
    from rondo.provision import authz as policies  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.provision.issue import Order  # noqa: PLC0415
    from rondo.provision.project import read_project  # noqa: PLC0415
    from rondo.provision.scripts import DEFAULT_IMAGE  # noqa: PLC0415

    path = _project_file(project_file)
    project = read_project(path)
    beside = path.parent / "authz_config.json"
    if authz is None and project.policy is None and beside.is_file():
        authz = beside
    return Order(
        project=project,
        out=out,
        state=state or path.parent / "state",
        authz=None if authz is None else policies.read_authz(authz),
        authz_where=str(authz or ""),
        server_kits=tuple(server_kits or ()),
        encrypt=not plain,
        image=os.environ.get("FL_DOCKER_IMAGE") or DEFAULT_IMAGE,
    )


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "participant": made.participant.name,
            "role": made.participant.role.value,
            "org": made.participant.org,
            "file": str(made.path),
            "password": made.password,
        }
        for made in outcome.made
    ]


def _show(outcome: Outcome, output: Format) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast

    rows = _rows(outcome)
    if output == Format.JSON:
        result = {"kits": rows, "kept": list(outcome.kept), "notes": list(outcome.notes)}
        typer.echo(pretty(result))
        return
    if rows:
        columns = ("participant", "org", "file", "password")
        table = Table(*columns)
        for row in rows:
            table.add_row(*(str(row[column] or "(none)") for column in columns))
        # A password that is cut off is lost: the table is as wide as it must be, whatever the terminal is.
        width = 20 + max(sum(len(str(row[column])) for column in columns) for row in rows)
        Console(width=max(80, width), markup=False, emoji=False, highlight=False).print(table)
        if any(row["password"] for row in rows):
            typer.echo("The passwords are shown this once and kept nowhere. Send them on another way than the files.")
    elif outcome.kept:
        typer.echo("Every participant has a kit already.")
    if rows and outcome.kept:
        typer.echo(f"Not touched: {', '.join(outcome.kept)}")
    for note in outcome.notes:
        typer.echo(f"- {note}")
