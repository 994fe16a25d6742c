"""``python -m benchmarks._idlers FILE``: clients that are logged in and wait, many in one process.

What each does is what a client does that takes part in no run: a connection of its own over mutual TLS, a log-in, a
waiting call that is made anew when it is answered, a heartbeat. ``FILE`` names the server, the clients and their keys.
Prints ``ready`` when all of them wait, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.client.app import PATIENCE, SLACK
from rondo.net import methods
from rondo.net.channel import Channel, open_channel
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb

AT_ONCE = 16  # log-ins under way


@dataclass(frozen=True)
class Keys:
    """What a connection needs."""

    host: str
    port: int
    ca_pem: bytes
    cert_pem: bytes
    key_pem: bytes


async def log_in(channel: Channel, project: str, name: str, turn: asyncio.Semaphore) -> float:
    """Returns the seconds between heartbeats."""
    hello = pb.Hello(project=project, name=name, protocol=PROTOCOL, version="idle", role="client")
    async with turn:
        welcome = await channel.call(methods.REGISTER, hello, timeout=120)
    channel.token = welcome.token
    return float(welcome.heartbeat)


async def wait(channel: Channel) -> None:
    while True:
        await channel.call(
            methods.WAIT, pb.Holding(phase="idle", round=-1, patience=PATIENCE), timeout=PATIENCE + SLACK
        )


async def beat(channel: Channel, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await channel.call(methods.BEAT, pb.Beat(), timeout=SLACK)


async def idle(given: dict[str, Any]) -> None:
    ca, turn = given["ca"].encode(), asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        channels = []
        for cert, key in given["clients"].values():
            keys = Keys(given["host"], given["port"], ca, cert.encode(), key.encode())
            channels.append(await stack.enter_async_context(open_channel(keys)))
        names = given["clients"]
        beats = await asyncio.gather(
            *(log_in(channel, given["project"], name, turn) for channel, name in zip(channels, names, strict=True))
        )
        going = [tasks.create_task(wait(channel)) for channel in channels]
        going += [tasks.create_task(beat(channel, seconds)) for channel, seconds in zip(channels, beats, strict=True)]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in going:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(idle(json.loads(Path(sys.argv[1]).read_text())))
