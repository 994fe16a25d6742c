"""Trainers that wait at a gate until the test lets them on, and what a test asks of the processes around them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from rondo.console.draw import as_json
from rondo.console.session import AdminSession
from tests.real.world import LONG, World, write_job

# Adds STEP to a model of zeros, so that the model says how many rounds were trained with which step. Where the site's
# data folder has a gate for this site and round, it knocks there and waits until it is let through.
GATED = """
import numpy as np
import rondo

STEP = 1.0


def new_model():
    return {"w": np.zeros(4, np.float32)}


class Clinic:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        print("round", task.round, "at", self.site.name, flush=True)
        gate = f"{self.site.name}-{task.round}"
        if self.site.data and (self.site.data / f"{gate}.knock").exists():
            (self.site.data / f"{gate}.knock").write_bytes(b"x")
            with open(self.site.data / f"{gate}.pass", "rb", buffering=0) as through:
                through.read(1)
        return rondo.Update({"w": model["w"] + STEP}, samples=1.0)

    def validate(self, model, task):
        return 1.0, {"level": float(model["w"].mean())}
"""


class Gate:
    """One gate: two FIFOs in the data folder of a site, held open by the test."""

    def __init__(self, data: Path, client: str, round_number: int) -> None:
        data.mkdir(exist_ok=True)
        self._name = f"gate of {client} in round {round_number}"
        knock, through = (data / f"{client}-{round_number}.{which}" for which in ("knock", "pass"))
        for path in (knock, through):
            os.mkfifo(path)
        self._knock = os.open(knock, os.O_RDWR | os.O_NONBLOCK)
        self._through = os.open(through, os.O_RDWR | os.O_NONBLOCK)

    async def reached(self) -> None:
        """Until a trainer stands at the gate."""
        loop, knocked = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._knock, knocked.set)
        try:
            async with asyncio.timeout(LONG):
                await knocked.wait()
        except TimeoutError:
            raise AssertionError(f"nobody came to the {self._name}") from None
        finally:
            loop.remove_reader(self._knock)
        os.read(self._knock, 1)

    def open(self) -> None:
        """Let one trainer through: who stands there, or who comes next."""
        os.write(self._through, b"x")

    def close(self) -> None:
        os.close(self._knock)
        os.close(self._through)


@asynccontextmanager
async def gates(data: Path, *wanted: tuple[str, int]) -> AsyncIterator[list[Gate]]:
    """A gate for each (client, round) of ``wanted``."""
    made = [Gate(data, client, number) for client, number in wanted]
    try:
        yield made
    finally:
        for gate in made:
            gate.close()


def gated_job(folder: Path, *, step: float = 1.0, **server: Any) -> Path:
    """A job of ``GATED`` trainers."""
    return write_job(folder, code=GATED.replace("STEP = 1.0", f"STEP = {step}"), **server)


async def command(session: AdminSession, line: str) -> dict[str, Any]:
    """What ``rondo admin KIT -c LINE --format json`` prints, without a process for it. Raises the command's error."""
    words = line.split()
    answer: dict[str, Any] = json.loads(as_json([row async for row in session.rows(words[0], words[1:])]))
    return answer


def texts(answer: dict[str, Any], site: str = "") -> list[str]:
    """The texts of that site in a command's answer; "" is the server."""
    return [text["text"] for text in answer["texts"] if text["site"] == site]


async def status(made: World, client: str) -> str:
    """Clara's word for what ``client`` does."""
    (line,) = (await made.session.facts("check_status", "client", client))["clients"]
    return str(line["status"])


async def printed(path: Path, words: str, count: int = 1) -> str:
    """The ``count``-th line of ``path`` with ``words`` in it, once it is there."""
    follow = await asyncio.create_subprocess_exec(
        *("tail", "-n", "+1", "-F", str(path)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert follow.stdout is not None
    try:
        async with asyncio.timeout(LONG):
            async for line in follow.stdout:
                if words in line.decode(errors="replace"):
                    count -= 1
                    if count == 0:
                        return line.decode(errors="replace")
        raise AssertionError(f"tail of {path} ended")
    except TimeoutError:
        raise AssertionError(f"{path} never says {words!r}") from None
    finally:
        follow.kill()
        await follow.wait()


def processes(pid: int) -> list[psutil.Process]:
    """The process and all that descend from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def listening(pid: int) -> set[int]:
    """TCP and UDP ports on which the process or a descendant takes what comes in."""
    found = set()
    for process in processes(pid):
        for socket in process.net_connections("inet"):
            unconnected = not socket.raddr and socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            if unconnected and socket.laddr:
                found.add(socket.laddr.port)
    return found


async def console_run(made: World, folder: Path, number: int, *clients: str) -> int:
    """Clara's way to a run: upload, number, deploy, start. Returns the run's id."""
    names = " ".join(clients)
    for line in (
        f"upload_folder {folder}",
        f"set_run_number {number}",
        f"deploy {folder.name} server",
        f"deploy {folder.name} client {names}",
    ):
        assert not (await command(made.session, line))["problems"]
    run = int((await command(made.session, "start server"))["run"])
    started = await command(made.session, f"start client {names}")
    assert [texts(started, client) for client in clients] == [["Starting the client..."]] * len(clients)
    return run


def level(file: Path) -> float:
    """What the model in ``file`` has come to: the sum of all steps."""
    from rondo.tensors.files import TensorFile

    with TensorFile(file) as tensors:
        values = {float(value) for value in tensors["w"]}
    (value,) = values
    return value
