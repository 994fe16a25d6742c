"""One model validated at every site, without training: ``rondo validate --model``, and ``Session.validate``."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rondo.base.errors import BadInput
from rondo.console.session import AdminSession
from rondo.jobs.evaluation import with_model
from rondo.net.transfer import Progress


async def evaluate(
    session: AdminSession, folder: Path, model: Path, sites: Sequence[str], progress: Progress | None = None
) -> int:
    """Submit the job in ``folder`` so that it only validates ``model``, at these sites (none: at all); the run's id.

    Raises ``BadInput`` for a site that is not logged in, or a file that is no model to begin with.
    """
    here = (await session.facts("check_status", "server"))["clients"]
    unknown = [name for name in sites if name not in here]
    if unknown:
        raise BadInput(f"invalid client(s): {' '.join(unknown)}", hint=f"logged in: {' '.join(here) or 'nobody'}")
    with tempfile.TemporaryDirectory() as scratch:
        copy = await asyncio.to_thread(with_model, folder, model, sites, Path(scratch))
        return await session.submit(copy, progress)
