"""A worker in a sandbox, with the real bubblewrap: what it cannot do, and that it is a worker like any other."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from rondo.base.errors import SiteRefused, WorkerDied
from rondo.worker.sandbox import Sandbox, see_it_works
from tests.worker.jobs import GOOD, Bench, training


class Site:
    """A workspace with a kit, a job and data; and what its worker may see of it."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.data, self.outside = folder / "site", folder / "data", folder / "outside"
        for path in (self.workspace / "startup", self.data, self.outside):
            path.mkdir(parents=True)
        self.key = self.workspace / "startup" / "client.key"
        self.key.write_text("secret")
        (self.data / "scan").write_text("a scan")
        self.bench = Bench(self.workspace / "run_1")
        self.work, self.made = self.workspace / "run_1" / "run", self.workspace / "made"

    @property
    def sandbox(self) -> Sandbox:
        reads = (self.data, self.bench.code, self.bench.model)
        return Sandbox(reads, (self.work, self.made), hides=self.workspace, home=self.work)

    def train(self) -> dict[str, Any]:
        return self.bench.train() | {"out": str(self.made / "update")}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site" / "run_1").mkdir(parents=True)
    return Site(tmp_path)


@contextmanager
def listeners() -> Iterator[tuple[int, str]]:
    """Something that listens on this machine: a port of the loopback, and a name of the system's own sockets."""
    with socket.socket() as inet, socket.socket(socket.AF_UNIX) as unix:
        inet.bind(("127.0.0.1", 0))
        name = f"\0rondo-test-{os.getpid()}-{inet.getsockname()[1]}"
        unix.bind(name)
        for one in (inet, unix):
            one.listen()
        yield inet.getsockname()[1], name


# Each works where there is no sandbox, and does not where there is one.
FORBIDDEN = {
    "connect": "socket.create_connection(('127.0.0.1', {port}), 5)",
    "connect to a name": "socket.socket(socket.AF_UNIX).connect({name!r})",
    "read the kit's key": "open('{key}').read()",
    "look into the kit": "os.listdir('{workspace}/startup')",
    "write into the workspace": "open('{workspace}/site_policy.toml', 'w')",
    "write into the job": "open('{code}/user.py', 'a')",
    "write into the data": "open('{data}/scan', 'a')",
    "write elsewhere": "open('{outside}/x', 'w')",
    "read elsewhere": "os.listdir('{outside}')",
    "see its client": "os.kill({pid}, 0)",
    "be an administrator": "os.chroot('/')",
    "read the environment": "os.environ['SITE_PASSWORD']",
}
ALLOWED = {
    "read the data": "open('{data}/scan').read()",
    "write where it works": "open('notes', 'w').write('x')",
    "make temporary files": "tempfile.mkdtemp()",
    "start processes": "subprocess.run([sys.executable, '-c', 'import numpy'], check=True)",
    "share memory": "multiprocessing.Pool(2).map(abs, [-1, -2])",
}


def attempts(site: Site, port: int, name: str) -> str:
    """A trainer that tries all of it, and prints what came of it."""
    told = {"key": site.key, "workspace": site.workspace, "code": site.bench.code, "data": site.data}
    told |= {"outside": site.outside, "pid": os.getpid(), "port": port, "name": name}
    lines = ["import multiprocessing, socket, tempfile"]
    for what, code in (FORBIDDEN | ALLOWED).items():
        tried = code.format(**told)
        lines += [f"try: {tried}", f"except Exception as error: print({what!r}, '= no:', error)"]
        lines += [f"else: print({what!r}, '= yes')"]
    return training("\n".join([*lines, "return {name: array + 1 for name, array in model.items()}, 10"]))


@pytest.mark.parametrize("sandboxed", [True, False])
async def test_what_a_sandbox_forbids(site: Site, sandboxed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_PASSWORD", "secret")
    with listeners() as (port, name):
        text = attempts(site, port, name)
        async with site.bench.worker(text, sandbox=site.sandbox if sandboxed else None) as worker:
            answer = await worker.ask(site.train())
    assert answer["path"] == str(site.made / "update") and (site.made / "update").is_file()
    log = site.bench.log.read_text()
    came = {what: f"{what} = yes\n" in log for what in FORBIDDEN | ALLOWED}
    expected = dict.fromkeys(FORBIDDEN, not sandboxed) | dict.fromkeys(ALLOWED, True)
    expected["be an administrator"] &= os.geteuid() == 0
    assert came == expected, log


async def test_the_kit_stays_hidden_where_the_data_lies_around_it(site: Site) -> None:
    """A site that names the whole disk as its data has not given its key away; data inside the workspace is seen."""
    (site.workspace / "scans").mkdir()
    (site.workspace / "scans" / "one").write_text("a scan")
    wide = replace(site.sandbox, reads=(*site.sandbox.reads, site.workspace.parent, site.workspace / "scans"))
    tried = (f"open('{site.key}')", f"open('{site.workspace}/scans/one')", f"open('{site.outside}/../data/scan')")
    lines = [
        f"try: {one}\nexcept OSError: print({number}, 'no')\nelse: print({number}, 'yes')"
        for number, one in enumerate(tried)
    ]
    async with site.bench.worker(training("\n".join([*lines, "return dict(model), 1"])), sandbox=wide) as worker:
        await worker.ask(site.train())
    log = site.bench.log.read_text()
    assert [word in log for word in ("| 0 no\n", "| 1 yes\n", "| 2 yes\n")] == [True] * 3, log


DEATHS = {
    "os.kill(os.getpid(), signal.SIGKILL)": "was killed by SIGKILL (out of memory?)",
    "os.kill(os.getpid(), signal.SIGSEGV)": "was killed by SIGSEGV",
    "os.abort()": "was killed by SIGABRT",
    "os._exit(3)": "ended with exit code 3 without an answer",
}


@pytest.mark.parametrize("body", DEATHS)
async def test_how_it_died_is_told_as_outside(site: Site, body: str) -> None:
    async with site.bench.worker(training(f"print('last words')\n{body}"), sandbox=site.sandbox) as worker:
        with pytest.raises(WorkerDied) as caught:
            await worker.ask(site.train())
    assert f"the train worker {DEATHS[body]}" in str(caught.value) and "last words" in caught.value.detail


async def test_nothing_of_it_is_left(site: Site) -> None:
    body = "subprocess.Popen(['sleep', '600'], start_new_session=True)\nrondo.progress(0, 'begun')\ntime.sleep(600)"
    async with site.bench.worker(training(body), sandbox=site.sandbox) as worker:
        begun = asyncio.Event()
        task = asyncio.create_task(worker.ask(site.train(), lambda *_: begun.set()))
        await begun.wait()
        bubblewrap = psutil.Process(worker.pid)
        tree = [bubblewrap, *bubblewrap.children(recursive=True)]
        assert [process.name() for process in tree].count("bwrap") == 1 and len(tree) == 4
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [process for process in tree if process.is_running()] == []


async def test_when_bubblewrap_is_killed_so_is_all_that_runs_in_it(site: Site) -> None:
    async with site.bench.worker(training("time.sleep(600)"), sandbox=site.sandbox) as worker:
        tree = psutil.Process(worker.pid).children(recursive=True)
        psutil.Process(worker.pid).kill()
        with pytest.raises(WorkerDied):
            await worker.ask(site.train())
        assert psutil.wait_procs(tree, timeout=5)[1] == []


async def test_without_bubblewrap_there_is_no_worker(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SiteRefused, match="install bubblewrap"):
        see_it_works()
    with pytest.raises(SiteRefused, match="there is no bubblewrap"):
        async with site.bench.worker(GOOD, sandbox=site.sandbox):
            raise AssertionError


def test_a_system_that_does_not_let_it_work_is_told_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    see_it_works()
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SiteRefused, match=r"No permissions to create a new namespace \(let this user make namespaces"):
        see_it_works()


async def test_a_worker_runs_on_as_many_processors_as_it_may(site: Site) -> None:
    one = min(os.sched_getaffinity(0))
    body = (
        "print('processors', sorted(os.sched_getaffinity(0)))\nreturn {name: array for name, array in model.items()}, 1"
    )
    async with site.bench.worker(training(body), cpus=(one,)) as worker:
        await worker.ask(site.bench.train())
    assert f"| processors [{one}]\n" in site.bench.log.read_text()
