"""What is measured of processes, and that none of them outlives its measurement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import HIGH, free_ports

ROOT = Path(__file__).parents[2]

# A process of 60 MB that starts one of 30 MB and waits, as a server with its worker does.
GROWS = """
import subprocess, sys
kept = bytearray(60 << 20)
kept[:] = b"x" * len(kept)
subprocess.run([sys.executable, "-c", "import signal; kept = b'x' * (30 << 20); signal.pause()", "child"])
"""
WATCH = """
import json, sys, threading
from pathlib import Path
from benchmarks.peaks import Peaks
from benchmarks.processes import Processes

folder = Path(sys.argv[1])
with Peaks(lambda owner, args: "worker" if "child" in args else "server") as peaks, Processes(folder, {}) as processes:
    pid = processes.start("server", [sys.executable, "-c", sys.argv[2]])
    peaks.watch("server", pid)
    processes.wait_for("both", lambda: "worker" in peaks.mb().get("server", {}), 30)
    processes.wait_for("its memory", lambda: peaks.mb()["server"]["worker"] > 30, 30)
print(json.dumps({"pid": pid, **peaks.mb()["server"]}))
"""
GUARDED = """
import subprocess, sys
from benchmarks import peaks

peaks.GUARD = 2.0  # of the memory there is: it is always too little
with peaks.Peaks(lambda owner, args: "hog" if "hog" in args else "small") as watching:
    hog = subprocess.Popen([sys.executable, "-c", "import signal; kept = b'x' * (60 << 20); signal.pause()", "hog"])
    watching.watch("server", hog.pid)
    print(hog.wait(), watching.guarded)
"""
# A launcher that ends at once and leaves a grandchild behind that ignores SIGTERM.
ESCAPES = """
import subprocess, sys
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", code], stdout=open(sys.argv[1], "w"), start_new_session=True)
print(child.pid, flush=True)
"""
LAUNCH = """
import sys
from pathlib import Path
from benchmarks.processes import Processes

folder = Path(sys.argv[1])
with Processes(folder, {}) as processes:
    grandchild = int(processes.run("launcher", [sys.executable, "-c", sys.argv[2], folder / "said"], 30))
    processes.wait_for("it to be deaf", lambda: "here" in (folder / "said").read_text(), 30)
    print(grandchild, flush=True)
    if sys.argv[3] == "wait":
        processes.wait_for("what never comes", lambda: False, 600)
"""


def test_the_peak_of_a_role_counts_what_it_started(tmp_path: Path) -> None:
    found = json.loads(subprocess.check_output([sys.executable, "-c", WATCH, tmp_path, GROWS], cwd=ROOT, text=True))
    assert found["server"] > 60 and 30 < found["worker"] < found["server"]
    assert not os.path.exists(f"/proc/{found['pid']}")


def test_before_memory_runs_out_one_of_ours_is_killed_and_the_measurement_knows() -> None:
    said = subprocess.check_output([sys.executable, "-c", GUARDED], cwd=ROOT, text=True)
    assert said.startswith("-9 the memory guard killed server: ")


@pytest.mark.parametrize("end", ["at once", "wait"])
def test_nothing_outlives_the_measurement_not_even_when_it_is_stopped(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-c", LAUNCH, tmp_path, ESCAPES, end]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as measuring:
        assert measuring.stdout is not None
        grandchild = int(measuring.stdout.readline())
        if end == "wait":
            measuring.send_signal(signal.SIGTERM)
        code = measuring.wait()
    assert code == (128 + signal.SIGTERM if end == "wait" else 0)
    assert not os.path.exists(f"/proc/{grandchild}")


def test_free_ports_are_below_those_that_the_kernel_gives_away() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3 and max(ports) < HIGH
