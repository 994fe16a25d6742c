"""``rondo job``: submit a job, follow it, abort it."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rondo.cli.admin import Format, KitOption, Output, run_command

BUNDLE = "Of a MONAI bundle;"

app = typer.Typer(help="Submit jobs and follow them.", no_args_is_help=True)


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="The job's folder.")]) -> None:
    """Find all that can be found wrong with a job without running it."""
    from rondo.jobs.check import check_job  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.jobs.job import read_job  # noqa: PLC0415

    job = read_job(folder)
    check_job(job, folder)
    typer.echo(f"{job.name}: nothing wrong found")


@app.command()
def submit(  # noqa: PLR0913 - the options of a command line
    folder: Annotated[Path, typer.Argument(help="The job's folder.")],
    kit: KitOption,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the run to its end.")] = False,
    rounds: Annotated[int | None, typer.Option("--rounds", min=0, help=f"{BUNDLE} 10 otherwise.")] = None,
    local_epochs: Annotated[int | None, typer.Option("--local-epochs", min=1, help=f"{BUNDLE} 1 otherwise.")] = None,
    min_clients: Annotated[int | None, typer.Option("--min-clients", min=1, help=f"{BUNDLE} 1 otherwise.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Upload a job and run it on every client. With --watch, fails with the first failing site's traceback.

    A MONAI bundle is a job as it is; how many rounds, epochs and clients may be said here.
    """
    from rondo.jobs.bundle import with_options  # noqa: PLC0415 - keeps `rondo --help` fast

    options = {"rounds": rounds, "local_epochs": local_epochs, "min_clients": min_clients}
    given = {name: value for name, value in options.items() if value is not None}
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_submit(kit, with_options(folder, Path(scratch), **given) if given else folder, watch, output))


async def _submit(kit: Path, folder: Path, watch: bool, output: Format) -> None:
    from rondo.cli.programs import VERSION, open_kit  # noqa: PLC0415 - keeps `rondo --help` fast
    from rondo.console.bar import bar  # noqa: PLC0415
    from rondo.console.session import log_in  # noqa: PLC0415

    async with log_in(open_kit(kit, "admin"), VERSION) as session:
        with bar(folder.name) as progress:
            run = await session.submit(folder, progress)
        if output is Format.TEXT:
            typer.echo(f"run {run} submitted")
        elif not watch:
            typer.echo(f'{{"run": {run}}}')
        if watch:
            await _follow(session, run, output)


@app.command()
def follow(
    run: Annotated[int, typer.Argument(help="The run's id, as `rondo job list` shows it.")],
    kit: KitOption,
    output: Output = Format.TEXT,
) -> None:
    """Follow a run from its beginning to its end, whoever submitted it."""

    async def program() -> None:
        from rondo.cli.programs import VERSION, open_kit  # noqa: PLC0415 - keeps `rondo --help` fast
        from rondo.console.session import log_in  # noqa: PLC0415

        async with log_in(open_kit(kit, "admin"), VERSION) as session:
            await session.facts("list_models", str(run))  # refuses a run that there is not
            await _follow(session, run, output)

    asyncio.run(program())


async def _follow(session: Any, run: int, output: Format) -> None:
    import msgspec  # noqa: PLC0415 - keeps `rondo --help` fast
    from rich.console import Console  # noqa: PLC0415

    from rondo.console.live import LiveView  # noqa: PLC0415
    from rondo.console.session import outcome  # noqa: PLC0415

    last = None
    if output is Format.JSON:
        async for last in session.watch(run):
            typer.echo(msgspec.json.encode(last).decode())
    else:
        with LiveView(Console()) as view:
            async for last in session.watch(run):
                view.feed(asdict(last))
    if last is not None:
        outcome(last)


@app.command("list")
def list_(kit: KitOption, output: Output = Format.TEXT) -> None:
    """List the runs, newest first."""
    run_command(kit, ["list_runs"], output)


@app.command()
def abort(
    run: Annotated[int, typer.Argument(help="The run's id.")], kit: KitOption, output: Output = Format.TEXT
) -> None:
    """Abort a run, queued or under way: no training process is left two seconds later."""
    run_command(kit, ["abort_run", str(run)], output)
