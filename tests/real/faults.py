"""Faults of a machine, made and mended without being root: a full disk, closed folders, a locked ledger."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

# Rondo, bound by the rights of files even where root starts it.
BOUND = (sys.executable, "-m", "tests.real.faults")

_PR_CAPBSET_DROP = 24
_OVERRIDE_RIGHTS = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def full_disk(*pids: int, room: int = 0) -> Iterator[None]:
    """Files that these processes write cannot grow beyond ``room`` bytes (EFBIG, as a full disk or a quota says it)."""
    found = [psutil.Process(pid) for pid in pids]
    before = [process.rlimit(psutil.RLIMIT_FSIZE) for process in found]
    for process, (_, hard) in zip(found, before, strict=True):
        process.rlimit(psutil.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        for process, limits in zip(found, before, strict=True):
            if process.is_running():
                process.rlimit(psutil.RLIMIT_FSIZE, limits)


@contextmanager
def closed(*folders: Path) -> Iterator[None]:
    """Nobody may write in these folders (whoever is started with ``BOUND`` feels it)."""
    before = [folder.stat().st_mode for folder in folders]
    for folder in folders:
        folder.chmod(0o500)
    try:
        yield
    finally:
        for folder, mode in zip(folders, before, strict=True):
            folder.chmod(mode)


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """Somebody else holds the ledger: a copy is made of it, or somebody looks into it with another program."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def bind_to_rights() -> None:
    """Whatever this process becomes may no longer pass over the rights of files. Nobody but root ever could."""
    if os.geteuid() == 0:
        for capability in _OVERRIDE_RIGHTS:
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot give up a right of root")


if __name__ == "__main__":
    bind_to_rights()
    os.execv(sys.executable, (sys.executable, "-m", "rondo", *sys.argv[1:]))
