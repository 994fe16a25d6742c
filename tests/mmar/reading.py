"""Reading an MMAR in a test: what it becomes, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.check import check_choices, check_files
from rondo.jobs.job import Job, read_job
from rondo.jobs.mmar import look_at, open_mmar


def found(folder: Path, strict: bool = False, **given: Any) -> tuple[Job | None, list[str], list[str]]:
    """The job, errors and warnings."""
    mmar = open_mmar(folder, given)
    job = look_at(mmar, strict)
    told: dict[str, list[str]] = {"error": [], "warning": []}
    for finding in mmar.findings.found:
        told[finding.level].append(str(finding))
    return job, told["error"], told["warning"]


def complaint(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        job = read_job(folder)
        check_choices(job)
        check_files(job, folder)
    return str(caught.value)
