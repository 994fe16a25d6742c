"""Jobs that are wrong or hostile: refused by the console, by the server where the console was passed by, or found on
every site before the first round; and trainers that do what no trainer should."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rondo.console.session import RunEvent
from rondo.jobs.folder import MOST_FILES
from rondo.jobs.package import pack
from rondo.simulator.local import ADMIN, SERVER
from tests.jobs.folders import Entry, make_zip, tree
from tests.real.gates import command, gated_job, gates
from tests.real.hostile import Stranger, refused, stranger
from tests.real.watching import most_memory, watched, workers
from tests.real.world import LONG, World, world, write_job

FILES = 100_000
GIB = 1 << 30

# ---- what a folder may not hold, and what may not arrive -----------------------------------------------------------


def linked(folder: Path) -> None:
    (folder / "data").symlink_to("/etc")


def with_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def with_many(folder: Path) -> None:
    (folder / "rows").mkdir()
    for number in range(MOST_FILES):  # with those of the job too many
        (folder / "rows" / f"{number}.csv").touch()


def with_data(folder: Path) -> None:
    with (folder / "scans.bin").open("wb") as file:
        file.truncate(17 * GIB)  # takes no room on disk


def toml(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "job.toml").read_text()
        assert old in text
        (folder / "job.toml").write_text(text.replace(old, new, 1))

    return change


def source(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "work.py").write_text(text)

    return change


FOLDERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "link": (linked, ("'data' is a link",)),
    "pipe": (with_pipe, ("'pipe' is a pipe",)),
    "backslash": (lambda folder: (folder / "a\\..\\b").touch(), ("a\\\\..\\\\b", "has a backslash")),
    "many files": (with_many, (f"more than {MOST_FILES} files", "rows/")),
    "data": (with_data, ("the largest is 'scans.bin'", "not the data")),
    "no job.toml": (lambda folder: (folder / "job.toml").unlink(), ("job.toml",)),
    "broken TOML": (toml("[server]", "[server"), ("job.toml:2:",)),
    "unknown key": (toml("min_clients", "min_client"), ("job.toml [server]", "'min_client'", "min_clients")),
    "unknown trainer": (toml('"function", class', '"functoin", class'), ("trainer", "functoin", "function")),
    "absolute model": (toml('function = "work:new_model"', 'file = "/etc/m.pt"'), ("[model]", "/etc/m.pt")),
    "model outside": (toml('function = "work:new_model"', 'file = "../m.pt"'), ("[model]", "../m.pt")),
    "syntax error": (source("def new_model():\n    return (\n"), ("work.py:2:12", "'(' was never closed")),
    "class of no module": (toml("work:Clinic", "wrok:Clinic"), ("trainer class", "no module 'wrok'")),
}


def sound(folder: Path) -> list[Entry]:
    return [Entry(name, content) for name, content in sorted(tree(write_job(folder)).items())]


def entry(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[list[Entry]], Any]:
    return lambda good: [*good, Entry(name, content, mode)]


def overlapping(archive: Path) -> None:
    """The table of contents names the first file's bytes twice."""
    content = bytearray(archive.read_bytes())
    first, second = content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    archive.write_bytes(content)


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-30])


PACKAGES: dict[str, tuple[Callable[[list[Entry]], Iterable[Entry]], tuple[str, ...]]] = {
    "link": (entry("data", b"/etc", stat.S_IFLNK | 0o777), ("'data'", "is a link")),
    "device": (entry("null", b"", stat.S_IFCHR | 0o666), ("'null'", "is a device")),
    "pipe": (entry("pipe", b"", stat.S_IFIFO | 0o666), ("'pipe'", "is a pipe")),
    "way out": (entry("../../escaped.py"), ("'../../escaped.py'", '".." part')),
    "absolute": (entry("/tmp/escaped.py"), ("'/tmp/escaped.py'", "is absolute")),
    "twice": (lambda good: [*good, good[0]], ("are the same name",)),
    "compiled": (entry("__pycache__/work.cpython-311.pyc"), ("is compiled Python",)),
    "bomb": (lambda good: [*good, Entry("zeros", bytes(64 << 20), deflated=True)], ("'zeros'", "zip bomb")),
    "many files": (
        lambda good: [*good, *(Entry(f"rows/{n}.csv", b"") for n in range(FILES))],
        (f"{FILES + 2} entries",),
    ),
    "no job": (lambda good: good[1:], ("job.toml",)),
    "broken TOML": (lambda good: [Entry("job.toml", b"name = "), *good[1:]], ("job.toml:1:",)),
    "unknown key": (lambda good: [Entry("job.toml", b"nmae = 'x'"), *good[1:]], ("'nmae'", "'name'")),
    "no such file": (lambda good: good[:1], ("no module 'work'",)),
}
SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "overlapping": (overlapping, "overlap"),
    "cut": (cut, "not a zip archive, cut short"),
    "no zip": (lambda archive: archive.write_bytes(b"#!/bin/sh\nrm -rf /\n" * 50) and None, "not a zip archive"),
    "empty": (lambda archive: archive.write_bytes(b"") and None, "not a zip archive"),
}


def stored(made: World) -> list[str]:
    """What the server holds of packages: staged, spooled or kept, and what escaped."""
    folder = made.workspaces[SERVER]
    places = (folder / "transfer", folder / "spool", folder / "blobs")
    found = [path for place in places for path in place.rglob("*") if path.is_file() or place.name == "transfer"]
    return [str(path) for path in [*found, *made.folder.parent.rglob("*escaped*"), *Path("/tmp").glob("escaped.py")]]


async def test_bad_packages_are_refused_at_both_ends_and_nothing_of_them_is_kept(tmp_path: Path) -> None:
    async with (
        world(tmp_path / "w", {"a": None}) as made,
        stranger(made.workspaces[ADMIN], "admin") as smuggler,
    ):
        for name, (spoil, words) in FOLDERS.items():
            folder = write_job(tmp_path / "folders" / name.replace(" ", "_"))
            spoil(folder)
            error = await refused(made.session.submit(folder))
            assert error.code == "BadInput" and all(word in str(error) for word in words), (name, str(error))
        for name, (change, words) in PACKAGES.items():
            archive = make_zip(tmp_path / "package.zip", change(sound(tmp_path / "sound")))
            await _is_refused(made, smuggler, archive.read_bytes(), name, *words)
        for name, (break_, says) in SPOILT.items():
            break_(make_zip(tmp_path / "package.zip", sound(tmp_path / "sound")))
            await _is_refused(made, smuggler, (tmp_path / "package.zip").read_bytes(), name, says)
        for name in ("../escaped", "/tmp/escaped.py", ".escaped", "", "a/b", "x" * 200):
            error = await refused(smuggler.smuggle(name, b"PK"))
            assert error.code == "BadInput" and "cannot be a folder's name" in str(error), name

        # Whatever was thrown at it, the server takes the next job and runs it.
        job = gated_job(tmp_path / "good", min_clients=1, num_rounds=1)
        _, events = await made.run(job)
        assert events[-1].kind == "run_finished"
        assert sorted(path.name for path in (made.workspaces[SERVER] / "transfer").glob("[!.]*")) == ["good"]


async def _is_refused(made: World, smuggler: Stranger, content: bytes, name: str, *words: str) -> None:
    error = await refused(smuggler.smuggle("bad", content))
    assert error.code == "BadInput" and all(word in str(error) for word in words), (name, str(error))
    assert str(made.folder) not in str(error), (name, str(error))
    assert stored(made) == [], name
    assert (await refused(smuggler.command("submit_job", "bad"))).code == "NotFound"


# ---- code that does not work ---------------------------------------------------------------------------------------

HEAD = """import os, resource, sys, time
import numpy as np
import rondo


def new_model():
    return {"w": np.zeros(4, np.float32)}


class Clinic:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        return {"w": model["w"] + 1}, 1
"""
TRAIN = '        return {"w": model["w"] + 1}, 1'
INIT = "        self.site = site"
SECOND = 'task.round == 1 and self.site.name == "bb"'


def coded(old: str = "", new: str = "") -> str:
    assert old in HEAD
    return HEAD.replace(old, new, 1)


# name: (work.py, what the run fails with, line in work.py that is named)
UNPREPARED: dict[str, tuple[str, str, int]] = {
    "syntax error": (coded("(self, model, task):", "(self, model, task)"), "SyntaxError: expected ':'", 14),
    "failed import": (coded("import rondo", "import rondo, no_such_module"), "No module named 'no_such_module'", 3),
    "raises on import": (coded("class Clinic", "1 / 0\nclass Clinic"), "ZeroDivisionError: division by zero", 10),
    "raises when made": (coded(INIT, '        raise OSError("no scanner")'), "OSError: no scanner", 12),
    "no such class": (coded("class Clinic", "class Clinics"), "Clinic", 0),
    "cannot train": (coded("def train", "def trian"), "work:Clinic has no train(model, task)", 0),
}


async def test_code_that_cannot_start_is_found_on_every_site_before_the_first_round(tmp_path: Path) -> None:
    async with (
        world(tmp_path / "w", {"a": None, "bb": None}) as made,
        stranger(made.workspaces[ADMIN], "admin") as smuggler,
    ):
        for number, (name, (code, says, line)) in enumerate(UNPREPARED.items()):
            # Either of two would do, so that both are heard; or both are needed, and the first failure ends the run.
            needed = 1 + number % 2
            job = unvalidated(tmp_path / f"job{number}", code, min_clients=needed, num_rounds=1)
            events = await smuggled(made, smuggler, job)
            failed = [event for event in events if event.kind == "client_failed"]
            assert "round_opened" not in {event.kind for event in events}, name
            assert events[-1].kind == "run_failed", (name, events[-1])
            if needed == 1:
                assert {event.data["client"] for event in failed} == {"a", "bb"}, name
            else:
                assert events[-1].at - failed[0].at < 2, name
            why = events[-1].data
            assert says in why["error"] and why["site"] in ("a", "bb"), (name, why)
            assert (why["file"], why["line"]) == (("work.py", line) if line else ("", 0)), (name, why)
            assert not line or "work.py" in why["traceback"], (name, why)


async def smuggled(made: World, smuggler: Stranger, job: Path) -> list[RunEvent]:
    """The events of a run of this job, at which the console did not look."""
    await smuggler.smuggle(job.name, pack(job, job.with_suffix(".zip")).path.read_bytes())
    await smuggler.command("submit_job", job.name)
    newest = (await made.session.facts("list_runs"))["runs"][0]
    return await made.ended(newest["id"])


def unvalidated(folder: Path, code: str, **server: Any) -> Path:
    return write_job(folder, code=code, final_validation=False, **server)


# name: (work.py, what the run fails with, site, line)
FAILING: dict[str, tuple[str, str, str, int]] = {
    "model function": (coded("    return {", "    return {}['w'] + {"), "KeyError: 'w'", "server", 7),
    "model of nothing": (coded('    return {"w"', '    {"w"'), "new_model: is a NoneType", "server", 0),
    "returns nothing": (coded(TRAIN, "        print('trained')"), "train returned nothing", "a", 0),
    "returns NaN": (coded(TRAIN, TRAIN.replace("+ 1", "/ 0 * 0")), "tensor 'w' holds NaN", "a", 0),
    "no samples": (coded(TRAIN, TRAIN.replace(", 1", ", 0")), "samples: must be a finite number above 0", "a", 0),
    "exits 0": (coded(TRAIN, "        print('bye')\n        os._exit(0)"), "exit code 0 without an answer", "a", 0),
    "sys.exit": (coded(TRAIN, "        sys.exit(0)"), "user code called sys.exit(0)", "a", 15),
    "no memory": (
        coded(TRAIN, "        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n        bytes(1 << 33)"),
        "MemoryError",
        "a",
        16,
    ),
}


async def test_code_that_fails_at_work_ends_the_run_with_its_place(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        before = [made.pid(name) for name in ("a", SERVER)]
        for number, (name, (code, says, site, line)) in enumerate(FAILING.items()):
            job = unvalidated(tmp_path / f"job{number}", code, min_clients=1, num_rounds=1)
            _, events = await made.run(job)
            why = events[-1].data
            assert events[-1].kind == "run_failed" and says in why["error"], (name, events[-1])
            assert (why["site"], why.get("file", ""), why.get("line", 0)) == (site, "work.py" if line else "", line), (
                name
            )
            assert not line or f'work.py", line {line}' in why["traceback"], (name, why)
        assert [made.pid(name) for name in ("a", SERVER)] == before
        _, events = await made.run(unvalidated(tmp_path / "good", coded(), min_clients=1, num_rounds=1))
        assert events[-1].kind == "run_finished"


async def test_a_site_that_fails_sits_the_round_out_where_the_others_suffice(tmp_path: Path) -> None:
    code = coded(TRAIN, f'        if {SECOND}: raise ValueError("beds")\n{TRAIN}')
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        job = unvalidated(tmp_path / "goes_on", code, min_clients=1, num_rounds=3, wait_after_min_clients=LONG)
        _, events = await made.run(job)
        assert events[-1].kind == "run_finished"
        (out,) = [event.data for event in events if event.kind == "task_failed"]
        assert (out["client"], out["round"], out["error"], out["line"]) == ("bb", 1, "ValueError: beds", 15)
        taken = [event.data["contributors"] for event in events if event.kind == "round_committed"]
        assert taken == [["a", "bb"], ["a"], ["a", "bb"]]

        # Where both are needed it ends the run, with that site's traceback.
        _, events = await made.run(unvalidated(tmp_path / "ends", code, num_rounds=3))
        why = events[-1].data
        assert (events[-1].kind, why["site"], why["round"]) == ("run_failed", "bb", 1)
        assert (why["error"], why["file"], why["line"]) == ("ValueError: beds", "work.py", 15)
        assert 'work.py", line 15, in train' in why["traceback"]


# ---- trainers that do what no trainer should -----------------------------------------------------------------------

STUBBORN = """        for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        (self.site.data / f"{self.site.name}-0.knock").write_bytes(b"x")
        re.match("(a|a)*b", "a" * 60)  # holds the interpreter lock for longer than anybody lives
"""


@pytest.mark.serial
async def test_a_trainer_that_hangs_is_gone_two_seconds_after_the_abort(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 0), ("bb", 0)) as hanging,
        world(tmp_path / "w", clients) as made,
    ):
        code = coded(TRAIN, STUBBORN).replace("import os", "import re, signal, subprocess\nimport os")
        run = await made.session.submit(unvalidated(tmp_path / "job", code, num_rounds=1))
        for gate in hanging:
            await gate.reached()
        at_work = [process.pid for name in clients for process in workers(made.pid(name))]
        assert len(at_work) == 6  # at each site a keeper, a worker and the child of the worker
        with watched(at_work) as working:
            began = time.monotonic()
            await command(made.session, f"abort_run {run}")
            await working.ended(within=2 - (time.monotonic() - began))
        assert (await made.ended(run))[-1].kind == "run_aborted"

        # And the clients take part in the next run.
        for gate in hanging:
            gate.open()
        _, events = await made.run(gated_job(tmp_path / "next", num_rounds=1))
        assert events[-1].kind == "run_finished"


@pytest.mark.serial
async def test_a_trainer_that_prints_a_gigabyte_harms_nobody(tmp_path: Path) -> None:
    loud = f"""        line = "x" * 1023 + "\\n"
        for _ in range({GIB >> 20}): sys.stdout.write(line * 1024)
        print("the last words of", self.site.name)
{TRAIN}"""
    async with world(tmp_path / "w", {"a": None}) as made:
        job = unvalidated(tmp_path / "job", coded(TRAIN, loud), min_clients=1, num_rounds=1)
        run, events = await made.run(job)
        assert events[-1].kind == "run_finished"
        assert most_memory(made.pid("a")) < 200 << 20
        assert most_memory(made.pid(SERVER)) < 200 << 20
        folder = made.workspaces["a"] / f"run_{run}"
        logs = {path.name: path.stat().st_size for path in folder.glob("a.log*")}
        assert set(logs) == {"a.log", "a.log.1"} and sum(logs.values()) < 2 * (65 << 20)
        with (folder / "a.log").open("rb") as log:
            log.seek(-200, os.SEEK_END)
            assert b"| the last words of a\n" in log.read()
        # What a person sees is cut, and says so.
        assert "lines are only in the log" in made.output("a")
        assert len(made.output("a")) < 5 << 20
