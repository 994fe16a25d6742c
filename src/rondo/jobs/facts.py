"""What a site's rules ask about a package before it is deployed (Clara's BYOC and data list)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rondo.jobs.folder import members
from rondo.jobs.job import read_job
from rondo.jobs.mmar import CUSTOM, TRAINER, brings_datalist

_CODERS = ("script", "monai_bundle")  # trainers that run what the package says, whatever its files are called
_CODE = frozenset((".py", ".pyc", ".pyo", ".pyw", ".pyd", ".so", ".dll", ".dylib", ".pth", ".sh"))


@dataclass(frozen=True)
class PackageFacts:
    """``byoc``: the package brings its own code. ``custom_datalist``: it brings its own list of cases."""

    byoc: bool
    custom_datalist: bool


def package_facts(folder: Path) -> PackageFacts:
    """Of an unpacked package. Every file counts, also those that ``pack`` would leave out; a script is code whatever
    its name, and so is what lies in an MMAR's ``custom/``. (Its ``commands/`` are nobody's here: they are not run.)
    A native job has no data list: the site chooses its data.

    Raises ``BadInput`` where the folder is no sound job.
    """
    job = read_job(folder)
    files = [PurePosixPath(file.name) for file in members(folder, junk=True)]
    if job.client.trainer.name != TRAINER:
        code = any(file.suffix.lower() in _CODE for file in files)
        return PackageFacts(byoc=code or job.client.trainer.name in _CODERS, custom_datalist=False)
    code = any(file.parts[0] == CUSTOM or _is_code(file) for file in files)
    return PackageFacts(byoc=code, custom_datalist=brings_datalist(folder))


def _is_code(file: PurePosixPath) -> bool:
    return file.suffix.lower() in _CODE and not (file.parts[0] == "commands" and file.suffix == ".sh")
