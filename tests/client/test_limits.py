"""What is counted against a site's limits, and what comes of passing one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rondo.base.errors import SiteRefused
from rondo.client.limits import descendants, keep_to, processors, see_memory, surroundings, within
from rondo.client.policy import Limits

MIB = 1 << 20

# Four processes that share 64 MiB, as data loaders do; mapped files and small change beside it.
SHARING = r"""
import mmap, os, sys
held = bytearray(b"x" * (64 << 20))
with open(sys.executable, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    sum(mapped[::4096])
for _ in range(3):
    if os.fork() == 0:
        break
os.write(1, b"ready\n")
sys.stdin.read()
"""


@contextmanager
def sharing() -> Iterator[list[int]]:
    """Those processes, once all of them are there."""
    words = [sys.executable, "-c", SHARING]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)] == ["ready\n"] * 4
        yield [process.pid, *descendants(process.pid)]
        process.stdout.close()


def test_memory_that_processes_share_is_counted_once() -> None:
    with sharing() as processes:
        assert len(processes) == 4 and set(processes) <= set(descendants(os.getpid()))
        see_memory(150 * MIB, processes)  # four times 64 would be more
        with pytest.raises(SiteRefused, match=r"takes \d+\.\d MiB of memory, this site allows 50\.0 MiB"):
            see_memory(50 * MIB, processes)


def test_what_runs_on_too_many_processors_is_put_back() -> None:
    with sharing() as processes:
        keep_to(1, processes)
        assert [len(os.sched_getaffinity(process)) for process in processes] == [1] * 4
    assert len(processors(1)) == 1 and set(processors(10**5)) == os.sched_getaffinity(0)


def test_libraries_are_told_of_threads_and_cards() -> None:
    assert surroundings(Limits(), {}) == {}
    assert surroundings(Limits(cpus=3), {})["OMP_NUM_THREADS"] == "3"
    assert surroundings(Limits(gpus=2), {})["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert surroundings(Limits(gpus=0), {})["CUDA_VISIBLE_DEVICES"] == ""
    assert surroundings(Limits(gpus=1), {"CUDA_VISIBLE_DEVICES": "5,7"})["CUDA_VISIBLE_DEVICES"] == "5"
    assert surroundings(Limits(gpus=1), {"CUDA_VISIBLE_DEVICES": ""})["CUDA_VISIBLE_DEVICES"] == ""


async def test_work_within_its_limits_is_left_alone(tmp_path: Path) -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    limits = Limits(memory=10**12, disk=10**12, run_time=10**6, cpus=10**4)
    await within(limits, lambda: [tmp_path], work())
    assert done.is_set()


async def test_what_the_work_raises_goes_on() -> None:
    async def work() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await within(Limits(), list, work())


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(run_time=0.05), r"has run for 0 s, this site allows 0\.05 s"),
        (Limits(disk=MIB), r"takes 2\.0 MiB of disk, this site allows 1\.0 MiB"),
    ],
)
async def test_work_that_passes_a_limit_has_ended_when_that_is_told(tmp_path: Path, limits: Limits, says: str) -> None:
    (tmp_path / "checkpoint").write_bytes(bytes(2 * MIB))
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(SiteRefused, match=says):
        await within(limits, lambda: [tmp_path], work())
    assert ended.is_set()
