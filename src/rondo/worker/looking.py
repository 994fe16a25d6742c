"""A look at a job's folder by a trainer's own eyes, in a worker: it knows its libraries, which nobody else imports."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rondo.base.errors import MachineFault
from rondo.jobs.findings import Finding
from rondo.worker.host import TaskFailed, WorkerSpec, open_worker

PATIENCE = 120.0  # seconds; to import MONAI takes a few


async def look_closely(trainer: str, folder: Path, given: Mapping[str, Any]) -> Sequence[Finding]:
    """What the trainer finds wrong or odd with the job in ``folder``, of which nothing is run.

    Where its libraries are not installed here, one warning says so. Raises ``MachineFault`` for a worker that dies or
    is not done in two minutes.
    """
    request = {"do": "check", "trainer": {"name": trainer}, "code": str(folder), "given": dict(given)}
    with tempfile.TemporaryDirectory(prefix="rondo-look-") as place:
        spec = WorkerSpec("init", log=Path(place) / "look.log", tag="check")
        try:
            async with asyncio.timeout(PATIENCE), open_worker(spec) as worker:
                found: list[dict[str, Any]] = (await worker.ask(request))["findings"]
        except TimeoutError:
            raise MachineFault(f"not looked through in {PATIENCE:g} seconds", where=folder.name) from None
        except TaskFailed as error:
            if "ModuleNotFoundError" not in error.error:
                raise
            what = f"classes and arguments are not looked at: {error.error}"
            return [Finding("warning", what, folder.name, "pip install 'rondo-fl[monai]'")]
    return [Finding(**one) for one in found]
