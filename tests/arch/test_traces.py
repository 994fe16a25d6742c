"""The look at what a test leaves behind finds each kind of it (else it would hold nothing)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.ports import free_port, is_free
from tests.traces import Traces, unfinished_tasks

_CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def test_a_quiet_test_leaves_nothing() -> None:
    assert Traces.now().left_behind() == []


def test_a_child_process_is_found_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Traces.now()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = before.left_behind(grace=0.2)
        assert len(found) == 1 and str(child.pid) in found[0]
    assert not psutil.pid_exists(child.pid)


def test_a_thread_is_found() -> None:
    before = Traces.now()
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="leaked")
    thread.start()
    assert before.left_behind(grace=0.1) == ["thread leaked"]
    go.set()
    thread.join()


def test_an_open_port_is_found() -> None:
    before = Traces.now()
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert before.left_behind() == [f"open port 127.0.0.1:{port}"]
    assert before.left_behind() == []


def test_a_new_file_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = Traces.now()
    (tmp_path / "stray").touch()
    assert before.left_behind() == [f"file {tmp_path / 'stray'}"]


async def test_an_unfinished_task_is_found() -> None:
    task = asyncio.create_task(asyncio.Event().wait(), name="leaked")
    assert [text.split()[1] for text in unfinished_tasks()] == ["leaked"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert unfinished_tasks() == []


def test_ports_are_never_given_twice() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_seen(host: str) -> None:
    port = free_port()
    with socket.create_server((host, port)):
        assert not is_free(port)
    assert is_free(port)


@pytest.mark.parametrize("worker", [0, 1, 2])
def test_every_worker_has_ports_of_its_own(worker: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
    assert {(free_port() - 20_000) % 3 for _ in range(10)} == {worker}


_LEAKY = """
import asyncio, subprocess, sys, threading
from hypothesis import given, strategies as st
kept = []

def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))

async def test_task():
    kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))

async def test_server():
    kept.append(await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0))

@given(st.integers())
def test_clean(number):
    assert number == number

async def test_clean_loop():
    await asyncio.to_thread(threading.current_thread)
"""


def test_every_test_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(_LEAKY)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-rE", "-c"]
    command = [sys.executable, "-m", "pytest", *options, str(_CONFIG), f"--rootdir={tmp_path}", str(tmp_path)]
    outcome = subprocess.run(command, cwd=_CONFIG.parent, capture_output=True, text=True)
    text = outcome.stdout
    assert outcome.returncode == 1, text + outcome.stderr
    assert "5 passed, 3 errors" in text
    assert "left behind: child process" in text
    assert "left behind: task forgotten" in text
    assert "left behind: open port 127.0.0.1:" in text
