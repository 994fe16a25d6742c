"""What one stream makes of a long fat pipe: 100 ms round trip, 200 Mbit/s, through the proxy of the tests.

``python -m benchmarks.line [--megabytes 128]`` prints a line of JSON for a pull and one for a push, each over a
connection of its own. ``share``: of what the line carries, from the first call to the file that is whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._moving import Depot
from rondo.base.clock import SystemClock
from rondo.net.channel import Channel, open_channel
from rondo.net.kits import load_kit
from rondo.net.retry import Backoff
from rondo.net.server import open_server
from rondo.net.transfer import pull, push
from rondo.simulator.local import SERVER, Layout, make_kits
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import write_tensors
from rondo.wire import rondo_pb2 as pb
from tests.net.proxy import Proxy

MIB = 1 << 20
RATE = 25e6  # bytes a second
DELAY = 0.05  # seconds each way


async def measure(megabytes: float, folder: Path) -> list[dict[str, Any]]:
    """A row each way."""
    clock = SystemClock()
    workspaces = make_kits(folder, Layout({"site": None}), clock)
    server, site = (load_kit(workspaces[name], clock.now()) for name in (SERVER, "site"))
    (folder / "depot").mkdir()
    file = write_tensors(folder / "model", {"w": np.zeros(int(megabytes * MIB / 4), np.float32)})
    depot = Depot(folder / "depot", file)
    depot.layer = "new"
    rows = []
    async with (
        open_server(server, depot.handlers, (server.port,), "127.0.0.1"),
        Proxy(server.port, delay=DELAY, rate=RATE) as proxy,
    ):
        for way in ("down", "up"):
            async with open_channel(site, proxy.port) as channel:
                seconds = await _move(way, channel, file, folder / "got")
            share = file.size / RATE / seconds
            row = {"way": way, "seconds": round(seconds, 2), "round_trip_ms": round(2000 * DELAY)}
            rows.append({**row, "mbit": round(RATE * 8 / 1e6), "share": round(share, 3)})
    return rows


async def _move(way: str, channel: Channel, file: FileInfo, into: Path) -> float:
    """Seconds."""
    loop, backoff = asyncio.get_running_loop(), Backoff(random.Random(1))
    began = loop.time()
    if way == "down":
        await pull(channel, pb.FileRef(digest=file.digest, size=file.size), into, backoff)
    else:
        await push(channel, file, pb.Offer(package=pb.Package(name="p")), backoff)
    return loop.time() - began


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=128.0)
    with tempfile.TemporaryDirectory() as folder:
        for row in asyncio.run(measure(parser.parse_args().megabytes, Path(folder))):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
