"""An MMAR where it runs: its variables, with what the site has chosen, and its warnings in the worker's log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from rondo.jobs.mmar import ENVIRONMENT, Mmar, look_at, open_mmar
from rondo.jobs.placed import Place
from rondo.jobs.task import Site
from rondo.trainers._team import ALONE, Team


class Told:
    """Says each thing once, in the worker's log; of several processes that train together the first one says it."""

    def __init__(self, team: Team = ALONE) -> None:
        self._said: set[str] = set()
        self._speaks = team.first

    def __call__(self, what: str, place: Place | str) -> None:
        line = f"{place}: {what}"
        if self._speaks and line not in self._said:
            self._said.add(line)
            sys.stderr.write(f"[rondo] warning: {line}\n")


def open_at(site: Site | None, told: Told, code: Path | None = None, team: Team = ALONE) -> Mmar:
    """The MMAR in the job's folder, whose warnings are told. Raises ``BadInput`` for an unsound one.

    Where the site has chosen a folder for its data, that is DATA_ROOT, unless the MMAR brings the data itself.
    ``multi_gpu`` is whether several processes train, whatever the configs say, as it was with Clara's launcher.
    """
    folder = site.code if site is not None else code
    assert folder is not None
    mmar = open_mmar(folder, {"multi_gpu": team.size > 1, **_given(folder, site, told)})
    look_at(mmar)
    mmar.findings.raise_first()
    for finding in mmar.findings.found:
        told(finding.what, finding.where)
    return mmar


def _given(folder: Path, site: Site | None, told: Told) -> dict[str, Any]:
    if site is None or site.data is None:
        return {}
    environment = open_mmar(folder)
    root, listed = environment.setting("DATA_ROOT"), environment.setting("DATASET_JSON")
    given: dict[str, Any] = {}
    if not root or os.path.isabs(root) or not (folder / root).is_dir():
        given["DATA_ROOT"] = str(site.data)
        if root and Path(root) != site.data:
            told(f"DATA_ROOT is {str(site.data)!r}, which this site has chosen, not {root!r}", ENVIRONMENT)
    if os.path.isabs(listed) and not Path(listed).is_file():
        for here in (site.data / listed.lstrip("/"), site.data / Path(listed).name):
            if here.is_file():
                given["DATASET_JSON"] = str(here)
                told(f"DATASET_JSON is {str(here)!r} at this site, not {listed!r}", ENVIRONMENT)
                break
    return given
