"""What a test can leave behind in its process and in the working folder, and how to find it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

# Written by the tools that run the tests, not by a test.
_TOOLS = {".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".coverage", "__pycache__"}

# Started once by the standard library and kept for the life of the process.
_FOR_LIFE = "multiprocessing.resource_tracker"

# grpc.aio's one poller: it belongs to the library and ends when the last of its objects is collected, which a
# traceback that pytest keeps for its report can put off. Channels and servers that are left open are found as tasks.
_OF_GRPC = "_poll_wrapper"

# How long what is already on its way out may take to be gone, seconds.
_GRACE = 2.0


@dataclass(frozen=True)
class Traces:
    """What there is at one moment: the difference of two is what a test left behind."""

    threads: frozenset[threading.Thread]
    listening: frozenset[tuple[str, int]]
    files: frozenset[Path]

    @classmethod
    def now(cls) -> Traces:
        return cls(frozenset(threading.enumerate()), frozenset(_listening()), frozenset(_files()))

    def left_behind(self, grace: float = _GRACE) -> list[str]:
        """One line for everything that was not there before. Processes found are killed."""
        found = [f"child process {text}" for text in end_children(grace)]
        for thread in set(threading.enumerate()) - self.threads:
            if _OF_GRPC in thread.name:
                continue
            thread.join(grace)
            if thread.is_alive():
                found.append(f"thread {thread.name}")
        found += [f"open port {host}:{port}" for host, port in sorted(set(_listening()) - self.listening)]
        found += [f"file {path}" for path in sorted(set(_files()) - self.files)]
        return found


def end_children(grace: float) -> list[str]:
    """Children of this process that did not end by themselves, described; none is alive afterwards."""
    children = [child for child in psutil.Process().children(recursive=True) if _counts(child)]
    _, alive = psutil.wait_procs(children, timeout=grace)
    found = [_describe(child) for child in alive]
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=_GRACE)
    return found


def unfinished_tasks() -> list[str]:
    """Tasks of the running loop besides the one that asks."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return sorted(f"task {task.get_name()} ({task.get_coro()!r})" for task in tasks)


def _counts(process: psutil.Process) -> bool:
    try:
        return not any(_FOR_LIFE in word for word in process.cmdline())
    except psutil.Error:
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)


def _listening() -> Iterable[tuple[str, int]]:
    for connection in psutil.Process().net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN:
            yield connection.laddr.ip, connection.laddr.port


def _files() -> Iterable[Path]:
    here = Path(os.getcwd())
    return (here / name for name in os.listdir(here) if name not in _TOOLS)
