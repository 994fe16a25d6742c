"""A faulty line between real clients and their server: the proxy that HTTPS_PROXY names, and what passes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from pathlib import Path

from tests.net.proxy import ConnectProxy, Way
from tests.real.world import LONG, World

MIB = 1 << 20

# A job whose update is as big as its model and takes no time to make; what its last model must be is easily said.
ADDING = """
import numpy as np
import rondo


def new_model(count):
    return {f"w{n}": np.arange(count, dtype=np.float32) + n for n in range(4)}


class Clinic:
    def __init__(self, site):
        pass

    def train(self, model, task):
        return rondo.Update({name: model[name] + np.float32(task.round + 1) for name in model}, samples=1.0)
"""


def adding(megabytes: int) -> str:
    """The rest of the job file for ``ADDING`` with a model of ``megabytes`` MiB."""
    return (
        f'[model]\nfunction = "work:new_model"\nargs = {{ count = {megabytes * MIB // 16} }}\n'
        '[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'
    )


def added(folder: Path, megabytes: int, rounds: int) -> str:
    """The digest of the model of ``adding(megabytes)`` after that many rounds."""
    import numpy as np

    from rondo.tensors.files import write_tensors

    count, steps = megabytes * MIB // 16, np.float32(sum(range(1, rounds + 1)))
    tensors = {f"w{n}": np.arange(count, dtype=np.float32) + np.float32(n) + steps for n in range(4)}
    made = write_tensors(folder / "added.safetensors", tensors)
    made.path.unlink()
    return made.digest


def through(proxy: ConnectProxy) -> Mapping[str, str]:
    """The environment of a process that reaches its server through ``proxy`` only."""
    url = f"http://127.0.0.1:{proxy.port}"
    names = dict.fromkeys(("no_grpc_proxy", "no_proxy", "NO_PROXY", "grpc_proxy"), "")
    return {**names, "https_proxy": url, "HTTPS_PROXY": url}


async def soon(what: str, happening: Awaitable[object], made: World) -> None:
    """Wait for ``happening``; fails after LONG, with what everybody printed."""
    try:
        async with asyncio.timeout(LONG):
            await happening
    except TimeoutError:
        outputs = "\n".join(f"--- {name}\n{made.output(name)[-3000:]}" for name in made.workspaces)
        raise AssertionError(f"{what}: never\n{outputs}") from None


async def held_at(proxy: ConnectProxy, way: Way, count: int, made: World) -> None:
    """Until ``count`` more bytes have gone ``way``; then nothing passes any more."""
    goal = proxy.passed[way] + count
    await soon(f"{count} bytes {way}", proxy.until(lambda: proxy.passed[way] >= goal), made)
    proxy.stall()


async def written(part: Path, size: int) -> None:
    """Until ``size`` bytes of this growing file are written (``tail`` is told by the system)."""
    follow = await asyncio.create_subprocess_exec(
        *("tail", "-c", "+1", "-f", str(part)), stdout=asyncio.subprocess.PIPE, limit=MIB
    )
    assert follow.stdout is not None
    try:
        async with asyncio.timeout(LONG):
            left = size
            while left > 0:
                left -= len(await follow.stdout.read(MIB))
    except TimeoutError:
        raise AssertionError(f"{part}: {os.stat(part).st_size} bytes, {size} are expected") from None
    finally:
        follow.kill()
        await follow.wait()
