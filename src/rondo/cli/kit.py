"""``rondo kit``: open the zip file of a start-up kit, look at an opened kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondo.cli.provision import Format, Output

if TYPE_CHECKING:
    from rondo.pki.kit import Kit

app = typer.Typer(help="Open and look at start-up kits.", no_args_is_help=True)


@app.command("open")
def open_(
    file: Annotated[Path, typer.Argument(help="The zip file.")],
    folder: Annotated[Path, typer.Option("-d", "--dir", help="Workspace to make; the kit goes into its startup/.")],
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            envvar="RONDO_KIT_PASSWORD",
            show_envvar=True,
            help="Its password; asked for where it is not given.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put a renewed kit in the place of the old one.")] = False,
) -> None:
    """Unpack a kit into a workspace, with the rights its files need, and verify it."""
    from rondo.provision import unpack, zips  # noqa: PLC0415 - keeps `rondo --help` fast

    if password is None and zips.is_encrypted(file):
        password = typer.prompt("Password", hide_input=True, err=True)
    kit = unpack.open_zip(file, folder, password, replace=replace)
    typer.echo(f"The kit of {kit.role} {kit.name} (project {kit.project}) is in {kit.workspace}")
    script = "fl_admin.sh" if kit.role == "admin" else "start.sh"
    typer.echo(f"Next: {kit.folder / script}")


@app.command()
def show(
    kit: Annotated[Path, typer.Argument(help="Workspace that contains startup/.")], output: Output = Format.TABLE
) -> None:
    """What a kit says: whose it is, where it goes, until when it is valid. No key is shown."""
    from rondo.console.draw import pretty  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.net.kits import read_kit  # noqa: PLC0415

    facts = _facts(read_kit(kit))
    if output == Format.JSON:
        typer.echo(pretty(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name + ':':<18} {', '.join(value) if isinstance(value, list) else value}")


def _facts(kit: Kit) -> dict[str, Any]:
    from rondo.net.kits import revocations  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.pki.certificates import moment  # noqa: PLC0415

    patience = kit.settings.retry_timeout
    facts = {
        "project": kit.project,
        "role": kit.role.value,
        "name": kit.name,
        "org": kit.org,
        "workspace": str(kit.workspace),
        "server": f"{kit.host}:{kit.port}",
        "admin port": kit.admin_port,
        "created": kit.manifest.created,
        "valid until": moment(kit.certificate.not_after),
        "certificate": f"sha256 {kit.certificate.fingerprint}",
        "authority": f"sha256 {kit.authority.fingerprint}",
        "retry_timeout": "without end" if patience is None else f"{patience:g} s",
        "files": sorted(kit.manifest.files),
    }
    if kit.role == "server":
        listed = revocations(kit)
        facts["authorization"] = "every admin may do everything" if kit.policy is None else "authorization.json"
        facts["revocation list"] = f"number {listed.number}, {len(listed.entries)} certificates"
    return facts
