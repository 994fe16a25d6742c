"""Sweeps a client's workspace: what runs need that this client takes part in no more, and what a kill left behind.

A run's job, its log and what its code wrote in ``work_CLIENT`` are the site's, not ours: they stay. Several clients may
share a workspace (see ``rondo.client.seat``), so each looks only at what bears its own name or that of nobody any more.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path

from rondo.base.room import entries, in_words, size_of
from rondo.base.spare import SPARE, drop_spares, give_up
from rondo.client.seat import sitting
from rondo.net.part import is_being_received

log = logging.getLogger("rondo.client")

MADE = "made"  # in a client's cache: what training workers leave
PACKAGES = "packages"  # in a client's cache: jobs on their way

_HALF = re.compile(r"\.mmar_(?P<a>.+)\.new|\.\.mmar_(?P<b>.+)\.new\.\w+\.part|\.\.mmar_(?P<c>.+)\.digest\.\d+\.part")


def sweep_at_log_in(workspace: Path, instance: str) -> None:
    """Before this client has work: what clients left behind that were killed, or that are called otherwise now.

    Models and transfers of its own that it may go on with stay.
    """
    others = sitting(workspace) - {instance}
    cache = workspace / "cache"
    gone = [folder for folder in entries(cache) if folder.name not in others | {instance}]
    gone += [file for file in entries(cache / instance) if file.name.startswith((".", MADE, f"{instance}."))]
    gone += [run for run in workspace.glob(".run_*.gone") if _deleting(run) not in others]
    gone += [file for file in _half_unpacked(workspace) if _owner(file) not in others]
    _remove(workspace, "left behind", gone)


def sweep_idle(workspace: Path, instance: str) -> None:
    """The server has no run for this client: it needs no model and no job, and no file that runs go on with."""
    gone = [workspace / "cache" / instance]
    for run in workspace.glob("run_*"):
        gone += run.glob(f"{escape(instance)}.lost-*")  # what its codec owes to the next round
        with suppress(OSError):  # not empty: it is the site's
            (run / f"work_{instance}").rmdir()
    _remove(workspace, "needed no more", [path for path in gone if path.exists()])


def sweep_run(cache: Path) -> None:
    """A run is over for the client whose ``cache`` it is: what its worker made is no business of the next run's."""
    drop_spares(cache)
    shutil.rmtree(cache / MADE, ignore_errors=True)


def keep_only(model: Path) -> None:
    """Of the files of rounds in a client's cache: all others are of rounds that are over, or become the spare."""
    for other in model.parent.iterdir():
        if other not in (model, model.parent / SPARE) and other.is_file() and not is_being_received(other):
            give_up(other)


def _half_unpacked(workspace: Path) -> Iterator[Path]:
    for run in workspace.glob("run_*"):
        yield from (entry for entry in entries(run) if _HALF.fullmatch(entry.name))


def _owner(half: Path) -> str:
    found = _HALF.fullmatch(half.name)
    return next((name for name in found.groups() if name), "") if found else ""


def _deleting(hidden: Path) -> str:
    """The client in whose name a run's folder is being deleted (``delete_run_number``)."""
    return hidden.name.split(".", 2)[2].removesuffix(".gone")


def _remove(workspace: Path, why: str, paths: Iterable[Path]) -> None:
    for path in paths:
        size = size_of(path)
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            log.info("%s, swept: %s (%s)", why, path.relative_to(workspace), in_words(size))
        except OSError as error:
            log.warning("%s stays where it is: %s", path, error)
