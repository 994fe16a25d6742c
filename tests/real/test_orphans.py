"""A worker never outlives its parent, however the parent dies and whatever the worker does."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.worker.jobs import Bench, training

# A parent that opens a worker, asks it to train, and says so once the user's code has begun.
_PARENT = """
import asyncio, json, sys
from pathlib import Path
from rondo.worker.host import WorkerSpec, open_worker

async def main(code, log, opened, train):
    async with open_worker(WorkerSpec("train", Path(log), "site-1", Path(code))) as worker:
        await worker.ask(opened)
        await worker.ask(train, lambda *_: print(worker.pid, flush=True))

asyncio.run(main(*json.loads(sys.argv[1])))
"""

KINDS = {
    "sleeps": "rondo.progress(0)\ntime.sleep(600)",
    "holds the lock in C": "import re\nrondo.progress(0)\nre.match('(a|a)*b', 'a' * 60)",
    "ignores signals": "for n in (1, 2, 13, 15): signal.signal(n, signal.SIG_IGN)\nrondo.progress(0)\ntime.sleep(600)",
    "has grandchildren": (
        "import multiprocessing\nfork = multiprocessing.get_context('fork')\n"
        "for _ in range(2): fork.Process(target=time.sleep, args=(600,)).start()\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\nrondo.progress(0)\ntime.sleep(600)"
    ),
    "prints": "rondo.progress(0)\nwhile True: print('x' * 10_000)",
}


CASES = [(kind, signal.SIGKILL) for kind in KINDS] + [("sleeps", signal.SIGTERM), ("has grandchildren", signal.SIGINT)]


@pytest.mark.parametrize(("kind", "how"), CASES)
def test_no_process_is_left_when_the_parent_dies(tmp_path: Path, kind: str, how: int) -> None:
    bench = Bench(tmp_path)
    bench.write("user.py", training(KINDS[kind]))
    told = [str(bench.code), str(bench.log), bench.open(**{"class": "user:Trainer"}), bench.train()]
    with _parent(told) as parent:
        assert parent.stdout is not None
        keeper = psutil.Process(int(parent.stdout.readline()))
        processes = [keeper, *keeper.children(recursive=True)]
        assert len(processes) == (5 if kind == "has grandchildren" else 2)
        watched = [os.pidfd_open(one.pid) for one in processes]  # readable once the process has ended
        parent.send_signal(how)
        parent.wait()
        assert [one for one in watched if not select.select([one], [], [], 3)[0]] == []
        for one in watched:
            os.close(one)


def _parent(told: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PARENT, json.dumps(told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
