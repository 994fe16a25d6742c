"""Bytes a second through one server, 4 clients, both ways at once, beside raw TLS sockets between the same processes.

``python -m benchmarks.transfer [--megabytes 256 --clients 4 --times 5]`` prints a line of JSON for every layer:

- ``raw``: Python's ``ssl``, 1 MiB sends, no disk, no digest: what the machine can do
- ``grpc``: our calls, nothing but the bytes
- ``digest``: and each receiver's digest
- ``new``: and files: read at one end, written to a new file at the other
- ``spare``: the same, each file made of the one before, as in a run
- ``checked``: and the server looks at layout and finiteness, as it does for an update
- ``durable``: and has every update on the disk before it acknowledges it (``rondo server start --durable disk``)

Layers alternate, so that a machine that gets slower gets slower for all. ``share`` is the median speed against the
median of ``raw``; ``share_cpu`` the same for processor time, which does not mind who else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rondo.base.clock import SystemClock
from rondo.simulator.local import SERVER, Layout, make_kits
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import write_tensors

MIB = 1 << 20
LAYERS = ("raw", "grpc", "digest", "new", "spare", "checked", "durable")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Spent:
    """Of one layer, a value for every time: seconds, and processor seconds and page faults of each role."""

    seconds: list[float] = field(default_factory=list)
    server: list[tuple[float, float, int]] = field(default_factory=list)
    clients: list[tuple[float, float, int]] = field(default_factory=list)


def used(pid: int) -> tuple[float, float, int]:
    """Processor seconds of a process (user, system), and its page faults."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK, int(fields[7])


def _difference(before: Sequence[tuple[float, float, int]], after: Sequence[tuple[float, float, int]]) -> Any:
    return tuple(sum(b[n] - a[n] for a, b in zip(before, after, strict=True)) for n in range(3))


class Crew:
    """The processes."""

    def __init__(self, server: Process, clients: list[Process]) -> None:
        self.server, self.clients = server, clients

    async def ask(self, process: Process, wish: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(wish).encode() + b"\n")
        return dict(json.loads(await process.stdout.readline()))

    async def move(self, layer: str, spent: Spent) -> None:
        """All clients at once, both ways at once."""
        wish = {"layer": layer, **await self.ask(self.server, {"layer": layer})}
        loop = asyncio.get_running_loop()
        pids = [client.pid for client in self.clients]
        before, theirs, began = used(self.server.pid), [used(pid) for pid in pids], loop.time()
        await asyncio.gather(*(self.ask(client, wish) for client in self.clients))
        spent.seconds.append(loop.time() - began)
        spent.server.append(_difference([before], [used(self.server.pid)]))
        spent.clients.append(_difference(theirs, [used(pid) for pid in pids]))


@asynccontextmanager
async def crew(folder: Path, clients: int, megabytes: float) -> AsyncIterator[Crew]:
    """A server and clients, with kits and files of their own."""
    names = [f"site-{number}" for number in range(clients)]
    workspaces = make_kits(folder, Layout(dict.fromkeys(names)), SystemClock())
    model = _file(folder / "model", megabytes, 0)
    async with AsyncExitStack() as stack:
        (folder / "spool").mkdir()
        server = await _start(stack, "server", workspaces[SERVER], folder / "spool", model)
        movers = []
        for number, name in enumerate(names, 1):
            scratch = folder / f"scratch-{name}"
            scratch.mkdir()
            update = _file(scratch / "update", megabytes, number)
            movers.append(await _start(stack, "client", workspaces[name], scratch, model, update))
        yield Crew(server, movers)


def _file(path: Path, megabytes: float, number: int) -> FileInfo:
    return write_tensors(path, {"w": np.full(int(megabytes * MIB / 4), number, np.float32)})


async def _start(stack: AsyncExitStack, role: str, workspace: Path, scratch: Path, *files: FileInfo) -> Process:
    about = [str(value) for file in files for value in (file.path, file.digest, file.size)]
    command = [sys.executable, "-m", "benchmarks._moving", role, str(workspace), str(scratch), *about]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin and process.stdout
    stack.push_async_callback(process.wait)
    stack.callback(process.stdin.close)
    await process.stdout.readline()
    return process


async def measure(layers: Sequence[str], clients: int, megabytes: float, times: int) -> list[dict[str, Any]]:
    """A row for every layer."""
    spent = {layer: Spent() for layer in layers}
    with tempfile.TemporaryDirectory() as folder:
        async with crew(Path(folder), clients, megabytes) as made:
            for time in range(times + 1):
                for layer in layers:
                    await made.move(layer, Spent() if time == 0 else spent[layer])
            peak = _peak(made.server.pid), max(_peak(client.pid) for client in made.clients)
    moved = 2 * clients * megabytes
    rows = [_row(layer, spent[layer], moved) for layer in layers]
    for row in rows:
        row["share"] = round(rows[0]["seconds"] / row["seconds"], 3)
        row["share_cpu"] = round(rows[0]["ms_per_mib"] / row["ms_per_mib"], 3)
    return [*rows, {"layer": "all", "server_peak_mb": peak[0], "client_peak_mb": peak[1]}]


def _peak(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) / 1024, 1)


def _row(layer: str, spent: Spent, moved: float) -> dict[str, Any]:
    row: dict[str, Any] = {"layer": layer, "seconds": round(statistics.median(spent.seconds), 3)}
    row["mib_per_second"] = round(moved / row["seconds"])
    for role, values in (("server", spent.server), ("clients", spent.clients)):
        user, system, faults = (statistics.median(value[n] for value in values) for n in range(3))
        row[f"{role}_ms_per_mib"] = [round(1000 * user / moved, 3), round(1000 * system / moved, 3)]
        row[f"{role}_faults_per_mib"] = round(faults / moved, 1)
    row["ms_per_mib"] = round(sum(row["server_ms_per_mib"]) + sum(row["clients_ms_per_mib"]), 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=256.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--layers", default=",".join(LAYERS))
    chosen = parser.parse_args()
    for row in asyncio.run(measure(chosen.layers.split(","), chosen.clients, chosen.megabytes, chosen.times)):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
