"""The machine that a figure was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import peaks

PACKAGES = ("rondo-fl", "grpcio", "numpy", "cryptography", "protobuf")


def describe() -> dict[str, Any]:
    """Processor, cores, memory, kernel, versions. No host name: figures are published."""
    total, available = peaks.memory_mb()
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(total / 1024, 1),
        "available_gb": round(available / 1024, 1),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def processor() -> str:
    """The model as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def versions(*packages: str) -> dict[str, str]:
    """Of what is installed in this environment."""
    return {name: importlib.metadata.version(name) for name in packages}


def now() -> str:
    """The date and time, to the minute, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
