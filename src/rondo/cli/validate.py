"""``rondo validate``: what cross-site validation found, or one model validated at every site now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.cli.admin import Format, KitOption, Output

Entries = Sequence[Mapping[str, Any]]


def validate(  # noqa: PLR0913 - the options of a command line
    kit: KitOption,
    folder: Annotated[Path | None, typer.Argument(help="A job, whose trainer validates --model.")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The model: .safetensors, or .pt of PyTorch.")] = None,
    sites: Annotated[str, typer.Option("--sites", help="all, or some clients: site-1,site-2.")] = "all",
    run: Annotated[int | None, typer.Option("--run", help="Show the results of this run instead.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the results there, too.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw a heat map there (needs the extra plots).")] = None,
    metric: Annotated[str, typer.Option("--metric", help="Of the heat map (default: the first one).")] = "",
    output: Output = Format.TEXT,
) -> None:  # fmt: skip
    """Show the cross-site validation of a run, or validate a model at all sites now, without training.

    rondo validate --run 7 --png matrix.png      or      rondo validate JOB --model best.pt --sites all
    """
    if (folder is None) != (model is None) or (folder is None) == (run is None):
        raise typer.BadParameter("give --run, or a job's folder with --model")
    named = [] if sites == "all" else [name for name in sites.split(",") if name]
    if png is not None:
        from rondo.cli import heatmap  # noqa: PLC0415 - heavy, and only for a picture

        heatmap.see_it_can()
    found = asyncio.run(_found(kit, run, folder, model, named, output))
    entries: Entries = found["entries"]
    if csv is not None:
        from rondo.base.disk import write_atomic  # noqa: PLC0415 - keeps `rondo --help` fast
        from rondo.commands.validate import as_csv  # noqa: PLC0415

        write_atomic(csv, as_csv(entries).encode())
    if png is not None:
        heatmap.draw(entries, metric, png)


async def _found(
    kit: Path, run: int | None, folder: Path | None, model: Path | None, sites: list[str], output: Format
) -> dict[str, Any]:
    """The facts of ``validate all``, which is printed."""
    from rondo.cli.programs import VERSION, open_kit  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.commands.rows import facts  # noqa: PLC0415
    from rondo.console.draw import as_json, as_text  # noqa: PLC0415
    from rondo.console.evaluating import evaluate  # noqa: PLC0415
    from rondo.console.session import log_in, outcome  # noqa: PLC0415

    async with log_in(open_kit(kit, "admin"), VERSION) as session:
        if run is None:
            assert folder is not None and model is not None
            run = await evaluate(session, folder, model, sites)
            for last in [event async for event in session.watch(run)][-1:]:
                outcome(last)
        rows = [row async for row in session.rows("validate", ["all", "--run", str(run)])]
    if output is Format.JSON:
        typer.echo(as_json(rows))
    else:
        for text in filter(None, map(as_text, rows)):
            typer.echo(text)
    return facts(rows)
