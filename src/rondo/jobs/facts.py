"""What a site's rules ask about a package before it is deployed (Clara's BYOC and data list)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rondo.jobs.folder import members
from rondo.jobs.job import read_job

_CODE = frozenset((".py", ".pyc", ".pyo", ".pyw", ".pyd", ".so", ".dll", ".dylib", ".pth", ".sh"))


@dataclass(frozen=True)
class PackageFacts:
    """``byoc``: the package brings its own code. ``custom_datalist``: it brings its own list of cases."""

    byoc: bool
    custom_datalist: bool


def package_facts(folder: Path) -> PackageFacts:
    """Of an unpacked package. Every file counts, also those that ``pack`` would leave out; a script is code whatever
    its name. A native job has no data list: the site chooses its data.

    Raises ``BadInput`` where the folder is no sound job.
    """
    job = read_job(folder)
    code = any(PurePosixPath(file.name).suffix.lower() in _CODE for file in members(folder, junk=True))
    return PackageFacts(byoc=code or job.client.trainer.name == "script", custom_datalist=False)
