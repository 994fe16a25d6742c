"""What a machine says of itself: its environment without secrets, its memory, its GPUs. Linux; elsewhere little."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path

from rondo.base.showing import harmless

MEMINFO = Path("/proc/meminfo")  # proc_meminfo(5)
SECRET = re.compile(r"KEY|TOKEN|PASS|PWD|SECRET|CREDENTIAL|AUTH|PRIVATE|COOKIE|SESSION", re.IGNORECASE)
MASK = "********"
MOST_VALUE = 4_000  # letters of a value that are shown
MOST_NAMES = 200
PATIENCE = 5.0  # seconds that nvidia-smi may take

_URL_PASSWORD = re.compile(r"://\S*@")
_SHOWN = {"PWD", "OLDPWD"}  # folders, though they look like a password's name


def environment(variables: Mapping[str, str] | None = None) -> list[str]:
    """``NAME=VALUE``, sorted. A value whose name looks like a secret's is masked, and what a URL has before its @."""
    lines = []
    for name, value in sorted((os.environ if variables is None else variables).items())[:MOST_NAMES]:
        shown = MASK if SECRET.search(name) and name not in _SHOWN else _URL_PASSWORD.sub(f"://{MASK}@", value)
        line = f"{name}={shown[:MOST_VALUE]}".replace("\n", " ")
        lines.append(harmless(line.encode(errors="replace")))
    return lines


def memory(meminfo: str | None = None) -> dict[str, float]:
    """Bytes, and ``percent`` in use, as psutil counts them; {} where the kernel does not say (no Linux)."""
    if meminfo is None:
        if not MEMINFO.exists():
            return {}
        meminfo = MEMINFO.read_text()
    kib = {name: int(value) for name, value in re.findall(r"^(\w+(?:\(\w+\))?):\s+(\d+) kB$", meminfo, re.MULTILINE)}

    def size(*names: str) -> int:
        return 1024 * sum(kib.get(name, 0) for name in names)

    total, available, cached = size("MemTotal"), size("MemAvailable"), size("Cached", "SReclaimable")
    return {
        "total": total,
        "available": available,
        "percent": round(100 * (total - available) / total, 1) if total else 0.0,
        "used": max(total - size("MemFree", "Buffers") - cached, 0),
        "free": size("MemFree"),
        "active": size("Active"),
        "inactive": size("Inactive"),
        "buffers": size("Buffers"),
        "cached": cached,
        "shared": size("Shmem"),
        "slab": size("Slab"),
    }


async def gpus(program: str = "nvidia-smi", patience: float = PATIENCE) -> list[str]:
    """The names of the NVIDIA GPUs, as their tool tells them; none where it is not there or does not answer."""
    command = (program, "--query-gpu=name", "--format=csv,noheader")
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError:
        return []
    try:
        async with asyncio.timeout(patience):
            out, _ = await process.communicate()
    except TimeoutError:
        return []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return [harmless(line)[:100] for line in out.splitlines()] if process.returncode == 0 else []
