"""The one door to a job, whoever wrote it and in whatever form."""

from __future__ import annotations

import os
from pathlib import Path

from rondo.base.errors import BadInput
from rondo.jobs import native
from rondo.jobs.parts import Choice, ClientPart, Job, ModelPart, ServerPart, TransferPart

__all__ = ["Choice", "ClientPart", "Job", "ModelPart", "ServerPart", "TransferPart", "read_job"]

# The file by which a form is known, and its reader.
_READERS = ((native.FILE, native.read_native),)


def read_job(folder: Path) -> Job:
    """The job in ``folder``: what it says, not yet whether the files and extensions it names exist (``check_job``).

    Raises ``BadInput`` naming file and place.
    """
    for file, read in _READERS:
        if os.path.lexists(folder / file):
            return read(folder)
    known = ", ".join(file for file, _ in _READERS)
    raise BadInput("no job here", where=str(folder), hint=f"a job is a folder with {known}")
