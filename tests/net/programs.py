"""Programs for tests that kill them: a depot, and clients that pull or push one file and say what it cost.

python -m tests.net.programs serve KIT FOLDER
python -m tests.net.programs pull KIT DIGEST SIZE INTO
python -m tests.net.programs push KIT FILE
python -m tests.net.programs append FILE INTO
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rondo.net.channel import open_channel
from rondo.net.part import Part
from rondo.net.server import open_server
from rondo.net.transfer import pull, push
from rondo.net.tuning import CHUNK, Tuning
from rondo.tensors.digest import file_digest
from rondo.wire import rondo_pb2 as pb
from tests.net.certs import TestKit
from tests.net.depot import LOOPBACK, Depot, backoff

QUICK = Tuning(first_pause=0.05, longest_pause=0.1)


async def _serve(kit: TestKit, folder: Path) -> None:
    async with open_server(kit, Depot(folder).handlers, (kit.port,), LOOPBACK):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def _pull(kit: TestKit, digest: str, size: str, into: Path) -> None:
    async with open_channel(kit, tuning=QUICK) as channel:
        print("ready", flush=True)
        await pull(channel, pb.FileRef(digest=digest, size=int(size)), into, backoff())


async def _push(kit: TestKit, path: Path) -> None:
    file = file_digest(path)
    async with open_channel(kit, tuning=QUICK) as channel:
        print("ready", flush=True)
        await push(channel, file, pb.Offer(package=pb.Package(name="p")), backoff())


async def _append(path: Path, into: Path) -> None:
    """FILE becomes INTO chunk by chunk; a line for the beginning and for every chunk that is there."""
    file = file_digest(path)
    async with Part(into, pb.FileRef(digest=file.digest, size=file.size)) as part:
        print("ready", flush=True)
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                part.append(chunk)
                print(part.done, flush=True)


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that the process has held, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main(what: str, *arguments: str) -> None:
    if what == "append":
        asyncio.run(_append(*map(Path, arguments)))
        return
    kit, *rest = arguments
    opened = TestKit.load(Path(kit))
    match what, rest:
        case "serve", [folder]:
            asyncio.run(_serve(opened, Path(folder)))
        case "pull", [digest, size, into]:
            asyncio.run(_pull(opened, digest, size, Path(into)))
        case "push", [path]:
            asyncio.run(_push(opened, Path(path)))
    print(peak_mib(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
