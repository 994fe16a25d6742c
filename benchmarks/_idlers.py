"""``python -m benchmarks._idlers FILE``: clients that are logged in and wait, many in one process.

What each does is what a client does that takes part in no run: a connection of its own over mutual TLS, a log-in, a
waiting call that is made anew when it is answered, a heartbeat; and it answers an admin who asks how it is
(``check_status``). ``FILE`` names the server, the clients and their keys.
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
from rondo.commands.rows import Facts, encode
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


async def wait(channel: Channel) -> None:
    """For orders; the only one that is carried out is to answer an admin's question, as ``check_status`` does."""
    holding = pb.Holding(phase="idle", round=-1, patience=PATIENCE)
    while True:
        order = await channel.call(methods.WAIT, holding, timeout=PATIENCE + SLACK)
        if order.HasField("ask"):
            answer = pb.Answer(id=order.ask.id, rows=[encode(Facts({}))])
            await channel.call(methods.REPORT, pb.Report(answer=answer), timeout=SLACK)


async def beat(channel: Channel, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await channel.call(methods.BEAT, pb.Beat(), timeout=SLACK)


async def join(channel: Channel, project: str, name: str, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    """Log in; wait and beat from then on."""
    hello = pb.Hello(project=project, name=name, protocol=PROTOCOL, version="idle", role="client")
    welcome = await channel.call(methods.REGISTER, hello, timeout=120)
    channel.token = welcome.token
    return [tasks.create_task(wait(channel)), tasks.create_task(beat(channel, welcome.heartbeat))]


async def idle(given: dict[str, Any]) -> None:
    ca, turn, going = given["ca"].encode(), asyncio.Semaphore(AT_ONCE), []
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:

        async def come(name: str, cert: str, key: str) -> None:
            keys = Keys(given["host"], given["port"], ca, cert.encode(), key.encode())
            async with turn:
                channel = await stack.enter_async_context(open_channel(keys))
                going.extend(await join(channel, given["project"], name, tasks))

        await asyncio.gather(*(come(name, *pems) for name, pems in given["clients"].items()))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in going:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(idle(json.loads(Path(sys.argv[1]).read_text())))
