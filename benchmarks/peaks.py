"""Peak memory of processes and their descendants by role, and how quiet the machine was meanwhile.

The peak of a process is the kernel's own (VmHWM), read while it lives. Some systems start processes that live for
one round, so the descendants are looked at ten times a second; the peak of a role of one owner is the largest sum
over those of its processes that lived at the same time.

A memory guard watches as well: before the machine runs out, the largest of the watched processes is killed and the
measurement has failed. The kernel's choice could fall on anybody.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL = 0.1
GUARD = 0.06  # of the machine's memory: less than this available is too little
TICK = os.sysconf("SC_CLK_TCK")

Name = Callable[[str, list[str]], str]  # the role of a process, from its owner and its command line


def status(pid: int) -> dict[str, int]:
    """The kB of a process by name (VmHWM, VmRSS, ...); empty once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) for name, value in pairs}


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def descendants(pid: int) -> Iterator[int]:
    """Processes below ``pid``, not itself, whichever of its threads started them."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


def by_word(roles: Mapping[str, str]) -> Name:
    """Roles by a word in the command line, the first that is there; "" for a process that has none."""

    def name(_: str, args: list[str]) -> str:
        line = " ".join(args)
        return next((role for word, role in roles.items() if word in line), "")

    return name


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its children not counted."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:13]) / TICK


def busy_seconds() -> float:
    """Processor time that all processes of this machine have used, not idle and not waiting for disks."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def memory_mb() -> tuple[float, float]:
    """Total and available memory of this machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kb["MemTotal"] / 1024, kb["MemAvailable"] / 1024


@dataclass
class Seen:
    """A process as it was at the looks ``first`` to ``last``. What it was before an exec does not count."""

    owner: str
    role: str
    first: int
    last: int = 0
    peak: float = 0.0  # MB
    cpu: float = 0.0  # seconds


class Peaks:
    """Watches from ``with`` to its end. ``watch`` adds a process of an owner with all that it starts."""

    def __init__(self, name: Name) -> None:
        self.guarded = ""  # what the memory guard did, if it had to
        self._name = name
        self._roots: dict[int, str] = {}
        self._seen: dict[int, Seen] = {}
        self._looks = 0
        self._busy = 0.0  # processor seconds of the machine, when the watch began
        self._own = 0.0  # of this process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peaks")

    def watch(self, owner: str, pid: int) -> None:
        self._roots[pid] = owner

    def mb(self) -> dict[str, dict[str, float]]:
        """By owner and role: the largest sum over processes that lived at the same time.

        What was seen once is not counted: a process between fork and exec shows the memory of its parent.
        """
        seen = [one for one in list(self._seen.values()) if one.last > one.first]
        found: dict[str, dict[str, float]] = {}
        for one in seen:
            beside = [other for other in seen if (other.owner, other.role) == (one.owner, one.role)]
            mb = sum(other.peak for other in beside if other.first <= one.first <= other.last)
            roles = found.setdefault(one.owner, {})
            roles[one.role] = max(roles.get(one.role, 0.0), mb)
        return found

    def noise(self) -> dict[str, float]:
        """Processor seconds of the watched processes (started after the watch), and of others of this machine."""
        watched, own = sum(one.cpu for one in list(self._seen.values())), cpu_seconds(os.getpid()) - self._own
        others = busy_seconds() - self._busy - watched - own
        return {"cpu_seconds": round(watched, 2), "cpu_seconds_of_others": round(max(0.0, others), 2)}

    def __enter__(self) -> Self:
        self._busy, self._own = busy_seconds(), cpu_seconds(os.getpid())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._looks += 1
            alive = [pid for root, owner in list(self._roots.items()) for pid in self._look(root, owner)]
            self._guard(alive)

    def _look(self, root: int, owner: str) -> Iterator[int]:
        """The processes of one root that live."""
        for pid in (root, *descendants(root)):
            peak = status(pid).get("VmHWM", 0) / 1024
            args = arguments(pid)
            if not peak or not args:  # a zombie, or gone
                continue
            role = self._name(owner, args) or "other"
            one = self._seen.get(pid)
            if one is None or one.role != role:
                one = self._seen[pid] = Seen(owner, role, self._looks)
            one.last, one.peak, one.cpu = self._looks, max(one.peak, peak), cpu_seconds(pid)
            yield pid

    def _guard(self, alive: list[int]) -> None:
        total, available = memory_mb()
        if self.guarded or not alive or available > GUARD * total:
            return
        mb, pid = max((status(pid).get("VmRSS", 0) / 1024, pid) for pid in alive)
        killed = f"{self._seen[pid].owner}: {self._seen[pid].role} at {mb:.0f} MB"
        self.guarded = f"the memory guard killed {killed}; {available:.0f} MB of {total:.0f} were left"
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
