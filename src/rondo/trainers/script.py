"""A program of the job that takes its tasks from ``rondo.join()``; the same file runs alone.

It runs as ``__main__`` with its own folder first in ``sys.path``, as ``python script args...`` would run it. In an
argument ``{data}``, ``{site}``, ``{workspace}`` and ``{code}`` stand for what this site chose.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.jobs.task import Site

RANKS = True  # it may run in several processes that torchrun started


class Options(BaseOptions, frozen=True):
    """``script``: a file of the job, relative to its folder. ``args``: what it finds in ``sys.argv[1:]``."""

    script: str
    args: list[str] = msgspec.field(default_factory=list)


class Script:
    """A ``Program``: ``run`` is the whole script."""

    def __init__(self, path: Path, args: list[str]) -> None:
        self._path, self._args = path, args

    def run(self) -> None:
        sys.argv = [str(self._path), *self._args]
        sys.path.insert(0, str(self._path.parent))
        runpy.run_path(str(self._path), run_name="__main__")


def build(options: Options, site: Site) -> Script:
    """Raises ``BadInput`` where the script is not a file inside the job folder."""
    path = (site.code / options.script).resolve()
    if not (path.is_file() and path.is_relative_to(site.code.resolve())):
        raise BadInput(f"there is no {options.script!r} in the job folder", where="script")
    known = {"data": site.data or "", "site": site.name, "workspace": site.workspace, "code": site.code}
    return Script(path, [_filled(text, known) for text in options.args])


def _filled(text: str, known: Mapping[str, object]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
