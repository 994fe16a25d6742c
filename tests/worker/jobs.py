"""Job folders for tests, and the requests a parent makes of a worker."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rondo.tensors.files import TensorFile, write_tensors
from rondo.worker.host import Worker, WorkerSpec, open_worker

GOOD = """
class Trainer:
    def __init__(self, site, step=1.0):
        self.step = step
    def train(self, model, task):
        return {name: array + array.dtype.type(self.step) for name, array in model.items()}, 10
"""


@dataclass(frozen=True)
class Bench:
    """A folder for one test: ``code`` (the job), ``model`` (a file), ``out`` and ``log``."""

    folder: Path
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(
        default_factory=lambda: {"b": np.array(0.5, np.float32), "w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    )

    def __post_init__(self) -> None:
        self.code.mkdir()
        write_tensors(self.model, self.arrays)

    @property
    def code(self) -> Path:
        return self.folder / "job"

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def out(self) -> Path:
        return self.folder / "out.safetensors"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "site-1.log"

    def write(self, name: str, text: str) -> Path:
        path = self.code / name
        path.write_text(textwrap.dedent(text))
        return path

    def spec(self, **more: Any) -> WorkerSpec:
        return WorkerSpec(**{"purpose": "train", "log": self.log, "tag": "site-1", "code": self.code, **more})

    def open(self, trainer: str = "function", **options: Any) -> dict[str, Any]:
        site = {"name": "site-1", "workspace": str(self.folder / "run"), "code": str(self.code), "data": None}
        return {"do": "open", "kind": "train", "job": {"name": trainer, "options": options}, "site": site, "seed": 7}

    def train(self, number: int = 0, do: str = "train", seed: int = 11) -> dict[str, Any]:
        files = {"model": str(self.model), "out": str(self.out)}
        return {"do": do, "round": number, "rounds": 5, "seed": seed, **files}

    def result(self) -> dict[str, np.ndarray[Any, Any]]:
        with TensorFile(self.out) as file:
            return {name: np.array(array) for name, array in file.items()}

    @asynccontextmanager
    async def worker(self, text: str, **more: Any) -> AsyncIterator[Worker]:
        """A worker with ``text`` as the module of its trainer class ``Trainer``, opened."""
        self.write("user.py", text)
        async with open_worker(self.spec(**more)) as worker:
            assert await worker.ask(self.open(**{"class": "user:Trainer"})) == {"say": "ready"}
            yield worker

    @asynccontextmanager
    async def script(self, text: str, *args: str, **more: Any) -> AsyncIterator[Worker]:
        """A worker with ``text`` as its script, opened."""
        self.write("script.py", text)
        async with open_worker(self.spec(**more)) as worker:
            assert await worker.ask(self.open("script", script="script.py", args=list(args))) == {"say": "ready"}
            yield worker


def training(body: str) -> str:
    """A trainer class whose ``train(self, model, task)`` is ``body``."""
    imports = "import os, signal, subprocess, sys, threading, time\nimport numpy as np\nimport rondo\n"
    head = (
        "class Trainer:\n    def __init__(self, site):\n        self.site = site\n    def train(self, model, task):\n"
    )
    return imports + head + textwrap.indent(textwrap.dedent(body), " " * 8)
