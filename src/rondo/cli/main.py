"""``rondo``: the composition root. Errors become one message and a stable exit code (see ``rondo.base.errors``)."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from rondo.base.errors import RondoError
from rondo.cli import admin, audit, authz, client, demo, doctor, job, kit, mmar, model, provision, server, validate

app = typer.Typer(
    help="Federated learning for hospitals: one model, trained where the data stays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(provision.app, name="provision")
app.add_typer(kit.app, name="kit")
app.command("doctor")(doctor.doctor)
app.add_typer(server.app, name="server")
app.add_typer(client.app, name="client")
app.add_typer(job.app, name="job")
app.add_typer(mmar.app, name="mmar")
app.add_typer(model.app, name="model")
app.add_typer(audit.app, name="audit")
app.command("validate")(validate.validate)
app.command("admin")(admin.admin)
app.command("authz-preview")(authz.authz_preview)
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def root(show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Federated learning for hospitals: one model, trained where the data stays."""
    if show_version:
        typer.echo(version("rondo-fl"))
        raise typer.Exit


def main() -> None:
    """Run the command line; the first real error is the last line, its detail above it."""
    try:
        app()
    except RondoError as error:
        if error.detail:
            typer.echo(error.detail.rstrip(), err=True)
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def authz_preview() -> None:
    """The program ``authz_preview``, as Clara has it."""
    sys.argv.insert(1, "authz-preview")
    main()
