"""What a run takes at this site, looked at while it runs; a run that takes more than it may is ended, and told why.

Theory of operation. A client takes part in one run at a time, so all that descends from the client process belongs to
it, and is counted together: the training worker, what that starts, the worker that filters. Memory is what nobody else
could use meanwhile (anonymous and shared pages, also those swapped out); files that are only mapped do not count.
Where the quick sum is too large, pages that processes share are told apart before anything is ended. Processors are
a number: what runs on more is put back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rondo.base.errors import SiteRefused
from rondo.base.room import in_words, size_of
from rondo.client.policy import Limits
from rondo.policy.site import FILE

OFTEN = 1.0  # seconds between two looks
LITTLE = 0.05  # of the time is spent looking at disks, at most

_QUICK = ("status", ("RssAnon:", "RssShmem:", "VmSwap:"))  # proc_pid_status(5)
_EXACT = ("smaps_rollup", ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"))  # proc_pid_smaps(5), Linux 5.4


async def within(limits: Limits, folders: Callable[[], Sequence[Path]], work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` for as long as what this process has started, and what is in ``folders``, stays within ``limits``.

    Raises ``SiteRefused`` where it does not: then ``work`` has been cancelled, and has ended.
    """
    if limits == Limits():
        await work
        return
    working, watching = asyncio.create_task(work), asyncio.create_task(_watch(limits, folders))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        (watching if watching.done() else working).result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def see_watchable(limits: Limits) -> None:
    """Raises ``SiteRefused`` on a system that does not tell what processes take, or on which processors they run."""
    if limits.memory is not None and not Path("/proc/self/status").exists():
        raise SiteRefused("this system does not tell what a process takes", where=_where("memory"))
    if limits.cpus is not None and not hasattr(os, "sched_setaffinity"):
        raise SiteRefused("this system does not let a process keep to some processors", where=_where("cpus"))


async def _watch(limits: Limits, folders: Callable[[], Sequence[Path]]) -> None:
    """Raises ``SiteRefused`` for the first limit that is passed."""
    clock = asyncio.get_running_loop().time
    began = looked_at_disk = clock()
    pause = 0.0
    while True:
        left = OFTEN if limits.run_time is None else min(OFTEN, began + limits.run_time - clock())
        await asyncio.sleep(max(left, 0.0))  # a look now and then; nothing is waited for
        if limits.run_time is not None and clock() - began >= limits.run_time:
            raise refused("run_time", f"has run for {clock() - began:.0f} s", f"{limits.run_time:g} s")
        counted = limits.cpus is not None or limits.memory is not None
        below = await asyncio.to_thread(descendants, os.getpid()) if counted else []
        if limits.cpus is not None:
            keep_to(limits.cpus, below)
        if limits.memory is not None:
            see_memory(limits.memory, below)
        if limits.disk is not None and clock() - looked_at_disk >= pause:
            began_to_look = clock()
            taken = await asyncio.to_thread(lambda: sum(map(size_of, folders())))
            looked_at_disk = clock()
            pause = (looked_at_disk - began_to_look) / LITTLE
            if taken > limits.disk:
                raise refused("disk", f"takes {in_words(taken)} of disk", in_words(limits.disk))


def refused(key: str, what: str, most: str) -> SiteRefused:
    """The job ``what``, which is more than the limit ``key`` lets it."""
    return SiteRefused(f"the job {what}, this site allows {most}", where=_where(key), hint="its IT may raise the limit")


def _where(key: str) -> str:
    return f"{FILE} [limits] {key}"


def descendants(pid: int) -> list[int]:
    """Every process that ``pid`` has started, or that these have, as far as it still lives."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit():
            with suppress(OSError, IndexError, ValueError), open(f"/proc/{entry}/stat", "rb") as file:
                children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def see_memory(most: int, processes: Iterable[int]) -> None:
    """Raises ``SiteRefused`` where ``processes`` hold more than ``most`` bytes together."""
    quick = {process: _held(process, *_QUICK) for process in processes}
    if sum(quick.values()) <= most:
        return
    exact = sum(_held(process, *_EXACT) or held for process, held in quick.items())
    if exact > most:
        raise refused("memory", f"takes {in_words(exact)} of memory", in_words(most))


def _held(process: int, file: str, fields: Sequence[str]) -> int:
    """Bytes; 0 where the process has ended, or the system does not say."""
    held = 0
    with suppress(OSError), open(f"/proc/{process}/{file}", encoding="ascii", errors="replace") as lines:
        for line in lines:
            name, *value = line.split()
            if name in fields:
                held += int(value[0]) << 10
    return held


def keep_to(cpus: int, processes: Iterable[int]) -> None:
    """Put every one of ``processes`` that may run on more than ``cpus`` processors back to that many."""
    for process in processes:
        with suppress(OSError):
            if len(os.sched_getaffinity(process)) > cpus:
                os.sched_setaffinity(process, processors(cpus))


def processors(cpus: int) -> tuple[int, ...]:
    """``cpus`` of the processors that this process may run on; others for another client on the same machine."""
    mine = sorted(os.sched_getaffinity(0))
    first = os.getpid() % len(mine)
    return tuple(sorted((mine[first:] + mine[:first])[:cpus]))


def surroundings(limits: Limits, environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker's environment says of its limits, to libraries that ask it: threads, and graphics cards."""
    said: dict[str, str] = {}
    if limits.cpus is not None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
        said |= dict.fromkeys(names, str(limits.cpus))
    if limits.gpus is not None:
        for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
            visible = [card for card in environ.get(name, "").split(",") if card] if name in environ else None
            cards = visible if visible is not None else [str(number) for number in range(limits.gpus)]
            said[name] = ",".join(cards[: limits.gpus])
    return said
