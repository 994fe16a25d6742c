"""What a machine says of itself: no secret, and numbers that agree with those of others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from rondo.base.surroundings import MASK, environment, gpus, memory

MEMINFO = """MemTotal:       1000 kB
MemFree:         200 kB
MemAvailable:    400 kB
Buffers:          50 kB
Cached:          100 kB
Active(anon):     99 kB
Active:          300 kB
Inactive:        150 kB
Shmem:            10 kB
Slab:             30 kB
SReclaimable:     20 kB
HugePages_Total:   0
"""


def test_memory_is_counted_as_psutil_counts_it() -> None:
    kib = {
        "total": 1000, "available": 400, "used": 630, "free": 200, "active": 300, "inactive": 150, "buffers": 50,
        "cached": 120, "shared": 10, "slab": 30,
    }  # fmt: skip
    assert memory(MEMINFO) == {**{name: 1024 * value for name, value in kib.items()}, "percent": 60.0}
    here = memory()
    assert here["total"] == psutil.virtual_memory().total
    assert list(here)[:5] == ["total", "available", "percent", "used", "free"]


def test_what_the_kernel_does_not_tell_is_zero() -> None:
    assert set(memory("").values()) == {0}


@pytest.mark.parametrize(
    "name",
    ["AWS_ACCESS_KEY_ID", "api_token", "PGPASSWORD", "MY_PWD", "CLIENT_SECRET", "GOOGLE_CREDENTIALS", "HTTP_AUTH",
     "COOKIE"],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked(name: str) -> None:
    assert environment({name: "hunter2"}) == [f"{name}={MASK}"]


def test_the_environment_is_shown_sorted_and_harmless() -> None:
    given = {
        "PATH": "/bin", "PWD": "/here", "HOME": "/root\x1b[2J\nX=1", "LONG": "x" * 10_000,
        "DATABASE_URL": "postgresql://me:hunter2@host/db", "PROXY": "http://me:p@s/s@proxy:3128",
        "PLAIN": "http://host:80/a",
    }  # fmt: skip
    lines = dict(line.split("=", 1) for line in environment(given))
    assert list(lines) == sorted(given) and not any("\n" in line or "\x1b" in line for line in lines.values())
    assert (lines["PATH"], lines["PWD"], lines["PLAIN"]) == ("/bin", "/here", "http://host:80/a")
    assert lines["DATABASE_URL"] == f"postgresql://{MASK}@host/db" and lines["PROXY"] == f"http://{MASK}@proxy:3128"
    assert len(lines["LONG"]) == 4_000
    assert environment()


def tool(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_gpus_are_those_that_the_tool_names(tmp_path: Path) -> None:
    two = tool(tmp_path / "two", 'test "$*" = "--query-gpu=name --format=csv,noheader" && printf "A100\\nT4 \\033\\n"')
    assert asyncio.run(gpus(two)) == ["A100", "T4 \N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize("script", ["echo no devices were found; exit 6", "exec /nowhere"])
def test_a_tool_that_fails_names_none(tmp_path: Path, script: str) -> None:
    assert asyncio.run(gpus(tool(tmp_path / "broken", script))) == []
    assert asyncio.run(gpus(str(tmp_path / "missing"))) == []


def test_a_tool_that_hangs_names_none(tmp_path: Path) -> None:
    """A driver that is lost makes it wait for ever; it is ended."""
    hangs = tool(tmp_path / "hangs", 'echo $$ > "$0.pid"; exec sleep 1000')
    assert asyncio.run(gpus(hangs, patience=0.5)) == []
    pid = int(Path(f"{hangs}.pid").read_text())
    assert not psutil.pid_exists(pid)
