"""Processes that a measurement starts, and the certainty that none outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from benchmarks.case import Failed
from benchmarks.peaks import arguments, descendants

LOW, HIGH = 20_000, 32_000  # below the ports that the kernel gives to outgoing connections
PATIENCE = 8.0  # seconds to end after SIGTERM
INTERVAL = 0.02
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    found: list[int] = []
    begin = os.getpid() * 37 % (HIGH - LOW)
    for step in range(HIGH - LOW):
        port = LOW + (begin + step) % (HIGH - LOW)
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
        if len(found) == number:
            return found
    raise Failed(f"no {number} free ports between {LOW} and {HIGH}")


def environment(binaries: Path, home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What a peer's processes see: its own environment first on the path, a home of its own, no proxies."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("PYTHONPATH", None)
    path = f"{binaries}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(binaries.parent), "HOME": str(home), **more}


class Processes:
    """Starts processes whose output goes to ``folder/NAME.log``; all of them, and whatever they started, are gone
    when the ``with`` ends, also after SIGTERM to this process.

    This process adopts what its children leave behind, so nothing can slip away by losing its parent.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = dict(env)
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, args: Sequence[object], env: Mapping[str, str] | None = None) -> int:
        """The process id."""
        with self.log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                [str(arg) for arg in args],
                env={**self.env, **(env or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._started[name].pid

    def run(self, name: str, args: Sequence[object], seconds: float, env: Mapping[str, str] | None = None) -> str:
        """Run to the end; what it printed. Raises ``Failed`` if it fails or takes longer."""
        self.start(name, args, env)
        try:
            code = self._started[name].wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} took longer than {seconds:g} s\n{self.tail(name)}") from None
        if code:
            raise Failed(f"{name} ended with {code}\n{self.tail(name)}")
        del self._started[name]
        return self.log(name).read_text(errors="replace")

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def tail(self, name: str, size: int = 3000) -> str:
        """The end of what a process printed."""
        return self.log(name).read_text(errors="replace")[-size:] if self.log(name).exists() else ""

    def wait_for(self, what: str, ready: Callable[[], bool], seconds: float) -> None:
        """Until ``ready``; raises ``Failed`` when that takes too long or one of the processes has ended."""
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not ready():
            for name, process in self._started.items():
                if process.poll() is not None:
                    raise Failed(f"{name} ended with {process.returncode}, before {what}\n{self.tail(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"{name}: {self.tail(name, 800)}" for name in self._started)
                raise Failed(f"{what} took longer than {seconds:g} s\n{logs}")
            pause.wait(INTERVAL)

    def __enter__(self) -> Self:
        if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0):
            raise Failed(f"prctl: {os.strerror(ctypes.get_errno())}")
        leave_in_order()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._started.values():
            process.terminate()
        deadline = time.monotonic() + PATIENCE
        for process in self._started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        while left := [pid for pid in descendants(os.getpid()) if arguments(pid)]:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._started.values():
                process.wait()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, 0)[0]:
                    pass


def leave_in_order() -> None:
    """SIGTERM from now on: this process leaves by the way of every ``finally``."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
