"""How workers end: by their own hand, by a signal, recalled, or with whatever they started; never unnoticed."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from rondo.base.errors import ProtocolBroken, WorkerDied
from tests.worker.jobs import GOOD, Bench, training


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


DEATHS = [
    ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL (out of memory?)"),
    ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
    ("os.killpg(0, signal.SIGTERM)", "was killed by SIGTERM"),
    ("os.killpg(0, signal.SIGKILL)", "was killed by SIGKILL"),
    ("os._exit(0)", "ended with exit code 0 without an answer"),
    ("os._exit(3)", "ended with exit code 3 without an answer"),
    ("os.abort()", "was killed by SIGABRT"),
    ("os.closerange(3, 64); time.sleep(600)", "closed its channel to its parent without an answer"),
]


@pytest.mark.parametrize(("body", "how"), DEATHS)
async def test_a_dead_worker_is_noticed_at_once_with_its_last_words(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, body: str, how: str
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    last = "print('x' * 100, end='')\nprint('\\nlast words')\n"
    async with bench.worker(training(last + body)) as worker:
        with pytest.raises(WorkerDied) as caught:
            await worker.ask(bench.train())
        assert f"the train worker {how}" in str(caught.value) and "(asked to train)" in str(caught.value)
        assert str(bench.log) in str(caught.value) and "last words" in caught.value.detail
        with pytest.raises(WorkerDied):
            await worker.ask(bench.train())
    assert "site-1 | last words" in bench.log.read_text()


async def test_a_crash_in_c_leaves_a_python_traceback(bench: Bench) -> None:
    async with bench.worker(training("import ctypes\nctypes.string_at(0)")) as worker:
        with pytest.raises(WorkerDied, match="SIGSEGV") as caught:
            await worker.ask(bench.train())
    assert "Fatal Python error: Segmentation fault" in caught.value.detail and "user.py" in caught.value.detail


BEGUN = "rondo.progress(0, 'begun')\n"
STUBBORN = {
    "sleeps": BEGUN + "time.sleep(600)",
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BEGUN + "while True: time.sleep(1)",
    "holds the lock in C": "import re\n" + BEGUN + "re.match('(a|a)*b', 'a' * 60)",
    "is stopped": BEGUN + "os.kill(os.getpid(), signal.SIGSTOP)",
    "stops its whole group": BEGUN + "os.killpg(0, signal.SIGSTOP)",
    "blocks all signals": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n" + BEGUN + "signal.pause()",
    "has a child": "child = subprocess.Popen(['sleep', '600'])\n" + BEGUN + "child.wait()",
    "has a child in another session": (
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n" + BEGUN + "child.wait()"
    ),
    "has a daemon": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\n"
        "os.wait()\n" + BEGUN + "time.sleep(600)"
    ),
    "has data loaders": (
        "import multiprocessing\nfork = multiprocessing.get_context('fork')\n"
        "for _ in range(2): fork.Process(target=time.sleep, args=(600,)).start()\n" + BEGUN + "time.sleep(600)"
    ),
    "has a thread that hangs": "threading.Thread(target=time.sleep, args=(600,)).start()\n" + BEGUN + "time.sleep(600)",
}
PROCESSES = {"has a child": 3, "has a child in another session": 3, "has a daemon": 3, "has data loaders": 4}


@pytest.mark.serial
@pytest.mark.parametrize("kind", STUBBORN)
async def test_a_recalled_worker_is_gone_within_a_second(bench: Bench, kind: str) -> None:
    async with bench.worker(training(STUBBORN[kind])) as worker:
        begun = asyncio.Event()
        task = asyncio.create_task(worker.ask(bench.train(), lambda *_: begun.set()))
        await begun.wait()
        processes = _tree(worker.pid)
        assert len(processes) == PROCESSES.get(kind, 2)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        assert _alive(processes) == []
        await worker.kill()


async def test_a_cancelled_block_leaves_no_process(bench: Bench) -> None:
    opened = asyncio.Event()
    processes: list[psutil.Process] = []

    async def run() -> None:
        async with bench.worker(training("time.sleep(600)")) as worker:
            processes.extend(_tree(worker.pid))
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(processes) == 2 and _alive(processes) == []


@pytest.mark.parametrize("steps", range(8))
async def test_a_start_that_is_cancelled_leaves_nothing(bench: Bench, steps: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    task = asyncio.create_task(bench.worker(GOOD).__aenter__())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the loop's own


async def test_a_worker_leaves_no_descriptor_behind(bench: Bench) -> None:
    counts = []
    for _ in range(2):
        async with bench.worker(GOOD) as worker:
            await worker.ask(bench.train())
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[0] == counts[1]


async def test_a_process_that_nobody_can_find_does_not_hold_up_its_parent(bench: Bench) -> None:
    """It lost its keeper and left its group; it holds the socket, but the parent knows that its worker is gone."""
    body = """
    if os.fork() == 0:
        os.setsid()
        print("daemon", os.getpid())
        rondo.progress(0)
        time.sleep(600)
    os.wait()
    """
    async with bench.worker(training(body)) as worker:
        begun = asyncio.Event()
        task = asyncio.create_task(worker.ask(bench.train(), lambda *_: begun.set()))
        await begun.wait()
        _tree(worker.pid)[0].kill()
        with pytest.raises(WorkerDied, match="SIGKILL") as caught:
            await task
    psutil.Process(int(caught.value.detail.split()[1])).kill()  # nobody could


async def test_user_code_that_goes_on_after_the_end_is_killed(bench: Bench) -> None:
    body = "threading.Thread(target=time.sleep, args=(600,)).start()\nreturn dict(model), 1"
    async with bench.worker(training(body), close_patience=0.2) as worker:
        await worker.ask(bench.train())
        processes = _tree(worker.pid)
    assert _alive(processes) == []


async def test_what_a_worker_leaves_running_ends_with_it(bench: Bench) -> None:
    body = "subprocess.Popen(['sleep', '600'], start_new_session=True)\nreturn dict(model), 1"
    async with bench.worker(training(body)) as worker:
        await worker.ask(bench.train())
        processes = _tree(worker.pid)
        assert len(processes) == 3
    assert _alive(processes) == []


async def test_a_dead_worker_takes_its_children_along(bench: Bench) -> None:
    body = "child = subprocess.Popen(['sleep', '600'])\nprint('child', child.pid)\nos.kill(os.getpid(), signal.SIGKILL)"
    async with bench.worker(training(body)) as worker:
        with pytest.raises(WorkerDied) as caught:
            await worker.ask(bench.train())
        pid = int(caught.value.detail.split("child ")[1].split()[0])
        assert not _exists(pid)


@pytest.mark.parametrize("group", ["", "os.setpgid(0, 0)\n"])
async def test_without_its_keeper_a_worker_ends_too(bench: Bench, group: str) -> None:
    async with bench.worker(training(group + "rondo.progress(0)\ntime.sleep(600)")) as worker:
        begun = asyncio.Event()
        task = asyncio.create_task(worker.ask(bench.train(), lambda *_: begun.set()))
        await begun.wait()
        keeper, child = _tree(worker.pid)
        keeper.kill()
        with pytest.raises(WorkerDied, match="SIGKILL"):
            await task
        psutil.wait_procs([child], timeout=1)  # nobody reaps it for us: its last moment may still be going on
        assert _alive([child]) == []


@pytest.mark.serial
async def test_a_stopped_keeper_still_ends_its_worker(bench: Bench) -> None:
    async with bench.worker(training("time.sleep(600)")) as worker:
        processes = _tree(worker.pid)
        processes[0].suspend()
        began = time.monotonic()
        await worker.kill()
        assert time.monotonic() - began < 1
        assert _alive(processes) == []


async def test_garbage_in_the_channel_ends_the_worker(bench: Bench) -> None:
    body = """
    import socket
    for name in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{name}") and "socket" in os.readlink(f"/proc/self/fd/{name}"):
            socket.socket(fileno=int(name)).sendall(b"\\x00\\x00\\x00\\x03[1]" + b"\\xff" * 8)
    time.sleep(600)
    """
    async with bench.worker(training(body)) as worker:
        processes = _tree(worker.pid)
        with pytest.raises(ProtocolBroken, match="no JSON object"):
            await worker.ask(bench.train())
        assert _alive(processes) == []


def _tree(pid: int) -> list[psutil.Process]:
    keeper = psutil.Process(pid)
    return [keeper, *keeper.children(recursive=True)]


def _exists(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _alive(processes: list[psutil.Process]) -> list[Any]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
