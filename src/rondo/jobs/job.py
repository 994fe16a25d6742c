"""The one door to a job, whoever wrote it and in whatever form."""

from __future__ import annotations

import os
from pathlib import Path

from rondo.base.errors import BadInput
from rondo.jobs import bundle, evaluation, mmar, native
from rondo.jobs.parts import Choice, ClientPart, Job, ModelPart, ServerPart, TransferPart

__all__ = ["Choice", "ClientPart", "Job", "ModelPart", "ServerPart", "TransferPart", "read_job"]

# The files by any of which a form is known, and its reader.
_READERS = (((native.FILE,), native.read_native), (mmar.MARKS, mmar.read_mmar), ((bundle.MARK,), bundle.read_bundle))


def read_job(folder: Path) -> Job:
    """The job in ``folder``: what it says, not yet whether the files and extensions it names exist (``check_job``).

    Raises ``BadInput`` naming file and place.
    """
    for files, read in _READERS:
        if any(os.path.lexists(folder / file) for file in files):
            job = read(folder)
            return evaluation.evaluating(job, folder) if os.path.lexists(folder / evaluation.FILE) else job
    known = " or ".join(files[0] for files, _ in _READERS)
    raise BadInput("no job here", where=str(folder), hint=f"a job is a folder with {known}")
