"""``rondo audit``: see whether an audit log is whole, and what is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, NotFound
from rondo.cli.admin import Format, Output
from rondo.cli.server import Ledger

app = typer.Typer(help="See whether an audit log is whole, and what is in it.", no_args_is_help=True)

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Workspace = Annotated[Path, typer.Argument(help="The workspace of a server or of a client.")]


@app.command()
def verify(
    workspace: Workspace,
    head: Annotated[
        str, typer.Option("--head", help="Of a client: NUMBER-HASH as the server was told it; it has to be in the log.")
    ] = "",
    ledger: Ledger = "",
    output: Output = Format.TEXT,
) -> None:
    """Find what was removed, changed, moved or cut off. Exit code 0: all is whole; 3: something is wrong.

    Of a server the file is compared with the ledger; the server may run meanwhile. Nothing is written.
    """
    from rondo.base.chain import Head  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.client.audit import prove_site  # noqa: PLC0415
    from rondo.server.proof import Proof, prove_server  # noqa: PLC0415

    see_log(workspace)
    if is_server(workspace):
        if head:
            raise BadInput("--head is for the log of a client", hint="a server's log is compared with its ledger")
        proof = prove_server(workspace, ledger, SystemClock().now())
    else:
        end, faults = prove_site(workspace, Head.of(head) if head else None)
        unknown = [] if head else ["whether entries after the last one were cut off is seen with --head only"]
        proof = Proof(end, faults, unknown)
    typer.echo(_as_json(proof) if output is Format.JSON else _as_text(proof))
    if proof.faults:
        raise typer.Exit(BadInput.exit_code)


@app.command()
def show(
    workspace: Workspace,
    user: Annotated[str, typer.Option("--user", help="Only of this user or client.")] = "",
    action: Annotated[str, typer.Option("--action", help="Only actions that begin so.")] = "",
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="Only from then on (UTC).", formats=TIMES),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Print the entries of a log, oldest first. Whether it is whole is what `verify` finds out."""
    from rondo.base.chain import read_line  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.base.journal import lines  # noqa: PLC0415

    see_log(workspace)
    begin = since.replace(tzinfo=UTC).timestamp() if since else 0.0
    for place in lines(workspace):
        try:
            link = read_line(place.raw)
        except BadInput:
            continue
        told = link.entry
        if told.at >= begin and told.action.startswith(action) and user in ("", told.user):
            typer.echo(_entry_as_json(link) if output is Format.JSON else link.line.rpartition(" [H:")[0])


def see_log(workspace: Path) -> None:
    """Raises ``NotFound`` where there is no audit log and no ledger that would have one."""
    from rondo.base.journal import files  # noqa: PLC0415 - keeps `rondo --help` fast

    if not files(workspace) and not is_server(workspace):
        raise NotFound(
            "there is no audit log here", where=str(workspace), hint="give the workspace of a server or client"
        )


def is_server(workspace: Path) -> bool:
    """Whether this is the workspace of a server, whose log is compared with its ledger."""
    from rondo.pki.certificates import Role  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.pki.kit import CONFIG  # noqa: PLC0415

    return (workspace / "startup" / CONFIG[Role.SERVER]).exists() or (workspace / "ledger.db").exists()


def _as_json(proof: Any) -> str:
    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast

    answer = {"entries": proof.head.number, "head": str(proof.head), "faults": proof.faults, "notes": proof.notes}
    return pretty(answer)


def _entry_as_json(link: Any) -> str:
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast

    return msgspec.json.encode({"number": link.head.number, **link.entry.__dict__}).decode()


def _as_text(proof: Any) -> str:
    found = [f"{one.where}: {one.what}{f' (event {one.event})' if one.event else ''}" for one in proof.faults]
    verdict = f"{len(found)} faults" if found else "nothing was removed, changed or moved"
    return "\n".join([*found, *proof.notes, f"{proof.head.number} entries, {verdict}", f"head: {proof.head}"])
