"""``rondo model``: list and fetch the models of a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rondo.base.errors import BadInput
from rondo.cli.admin import Format, KitOption, Output, run_command

app = typer.Typer(help="List and fetch the models of a run.", no_args_is_help=True)

RunId = Annotated[int, typer.Argument(help="The run's id, as `rondo job list` shows it.")]


@app.command("list")
def list_(run: RunId, kit: KitOption, output: Output = Format.TEXT) -> None:
    """List the versions of the run's global model, with metrics and digests."""
    run_command(kit, ["list_models", str(run)], output)


@app.command()
def get(
    run: RunId,
    kit: KitOption,
    out: Annotated[Path, typer.Option("-o", "--output", help="File to write: .safetensors, or .pt for PyTorch.")],
    best: Annotated[bool, typer.Option("--best", help="The best version by the job's best_metric.")] = False,
    version: Annotated[int | None, typer.Option("--version", help="This version (default: the last).")] = None,
) -> None:
    """Fetch a model. Its provenance (run, round, contributors, weights, digests) is written beside it as JSON."""
    if best and version is not None:
        raise typer.BadParameter("give --best or --version, not both")
    which = "best" if best else "last" if version is None else str(version)
    asyncio.run(_get(kit, run, which, out))


async def _get(kit: Path, run: int, which: str, out: Path) -> None:
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast

    from rondo.base.disk import write_atomic  # noqa: PLC0415
    from rondo.cli.programs import VERSION, open_kit  # noqa: PLC0415
    from rondo.console.bar import bar  # noqa: PLC0415
    from rondo.console.session import log_in  # noqa: PLC0415

    if out.suffix not in (".safetensors", ".pt"):
        raise BadInput(
            f"cannot write {out.suffix or 'a file without a suffix'}", where=str(out), hint=".safetensors or .pt"
        )
    fetched = out.with_suffix(".safetensors") if out.suffix != ".pt" else out.with_name(f".{out.name}.safetensors")
    async with log_in(open_kit(kit, "admin"), VERSION) as session:
        with bar(out.name) as progress:
            entry = await session.model(run, which, fetched, progress)
    if out.suffix == ".pt":
        try:
            _as_checkpoint(fetched, out)
        finally:
            fetched.unlink(missing_ok=True)
    write_atomic(out.with_name(f"{out.name}.json"), msgspec.json.format(msgspec.json.encode(entry)))
    typer.echo(f"{out}: version {entry['version']} of run {run}, {entry['digest']}")


def _as_checkpoint(source: Path, out: Path) -> None:
    """A state dict that ``torch.load(..., weights_only=True)`` reads."""
    from rondo.worker.checkpoint import write_checkpoint  # noqa: PLC0415 - heavy, and only for .pt

    try:
        write_checkpoint(source, out, {})
    except ImportError:
        raise BadInput("a .pt file needs PyTorch", hint="pip install torch, or ask for .safetensors") from None
