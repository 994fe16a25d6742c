"""Knowing when processes end, the moment they do: by their pidfds, never by asking again and again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.real.gates import processes
from tests.real.world import LONG


class Watched:
    """Some processes, by pid; they may be children of anybody."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.descriptors = {pid: os.pidfd_open(pid) for pid in pids}

    async def ended(self, within: float = LONG) -> None:
        """Until every one of them has ended; fails after ``within`` seconds."""
        waiting = set(self.descriptors.values())
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def gone(descriptor: int) -> None:
            loop.remove_reader(descriptor)
            waiting.discard(descriptor)
            if not waiting:
                over.set()

        for descriptor in list(waiting):
            loop.add_reader(descriptor, gone, descriptor)
        try:
            async with asyncio.timeout(within):
                await over.wait()
        except TimeoutError:
            left = [pid for pid, descriptor in self.descriptors.items() if descriptor in waiting]
            raise AssertionError(f"still there after {within:g} s: {left} of {sorted(self.descriptors)}") from None
        finally:
            for descriptor in waiting:
                loop.remove_reader(descriptor)


@contextmanager
def watched(pids: Iterable[int]) -> Iterator[Watched]:
    """Watch these processes; begin before they could end."""
    found = Watched(pids)
    try:
        yield found
    finally:
        for descriptor in found.descriptors.values():
            os.close(descriptor)


def workers(pid: int) -> list[psutil.Process]:
    """Everything that a client or server has started: keepers, workers and what these have started."""
    return processes(pid)[1:]


def most_memory(pid: int) -> int:
    """The most that the process ever held, in bytes (Linux: VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak) << 10
