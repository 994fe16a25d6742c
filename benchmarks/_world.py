"""What the measurements of a running federation share: their options, jobs, and the memory of processes."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from benchmarks.peaks import descendants, status
from rondo.simulator.local import SERVER, Federation

VERSION = importlib.metadata.version("rondo-fl")
ARRAYS = 20

# Every site adds 1 to every weight: the model says how many rounds it has seen. The arrays of the first model are
# views of one number, so that whoever makes it needs no more memory than one of them.
ADDS = """
import numpy as np
import rondo


def new_model(count):
    return {f"layer{n:02}": np.broadcast_to(np.float32(0), (count,)) for n in range(20)}


class Adds:
    def __init__(self, site):
        pass

    def train(self, model, task):
        return rondo.Update({name: model[name] + np.float32(1) for name in model}, samples=1)
"""


def write_job(folder: Path, megabytes: float, code: str = ADDS, **server: Any) -> Path:
    """A job of ``code`` with a model of 20 float32 arrays, ``megabytes`` (10^6) in all; ``server``: its settings."""
    settings = {"seed": "bench", "final_validation": False, **server}
    lines = [
        f'name = "{folder.name}"',
        "[server]",
        *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
        '[model]\nfunction = "adds:new_model"',
        f"args = {{ count = {max(1, int(megabytes * 1e6 / 4 / ARRAYS))} }}",
        '[client]\ntrainer = { name = "function", class = "adds:Adds" }',
    ]
    folder.mkdir()
    (folder / "job.toml").write_text("\n".join(lines))
    (folder / "adds.py").write_text(code)
    return folder


def memory(pid: int, field: str) -> float:
    """One figure of /proc/PID/status in MiB: VmRSS and RssAnon are now, VmHWM is the most there ever was."""
    return status(pid).get(field, 0) / 1024


def roles(made: Federation) -> dict[str, list[int]]:
    """Whose memory is whose: ``server`` and its ``server_worker``, ``clients`` without the workers that train."""
    server = made.pid(SERVER)
    return {
        "server": [server],
        "server_worker": list(descendants(server)),
        "clients": [made.pid(name) for name in made.layout.clients],
    }


def total(pids: Iterable[int], field: str) -> float:
    return round(sum(memory(pid, field) for pid in pids), 2)


def program(doc: str | None, measure: Callable[..., Coroutine[Any, Any, Any]], **defaults: float) -> None:
    """Parse an option for each of ``defaults``, print what ``measure`` finds with them, in this order, in a folder."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    chosen = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(*chosen.values(), Path(folder)))))
