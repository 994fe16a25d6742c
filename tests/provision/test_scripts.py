"""The supervisor of a kit, run by a real shell, in a workspace whose path has a blank; ``rondo`` is a stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from rondo.net.kits import load_kit
from tests.provision.projects import NOW, opened, run

# Once the supervisor has noted it, says on a pipe that it is there, then does what was asked for.
PROGRAM = """#!/bin/sh
trap '{on_term}' TERM
while ! [ -s pid.fl ]; do sleep 0.01; done
echo "$$ $* [$CUDA_VISIBLE_DEVICES] [$PYTHONPATH]" >said
{behaviour}
"""
STAYS = "while :; do sleep 0.05; done"
ENDS = "echo ended >said; exit 0"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    opened(run(tmp_path, encrypt=False), "client1", tmp_path / "my site")
    return tmp_path / "my site"


@pytest.fixture
def ear(workspace: Path) -> Iterator[TextIO]:
    """The pipe on which the program speaks, held open from both ends: nobody waits to be heard, no line is lost."""
    os.mkfifo(workspace / "said")
    with os.fdopen(os.open(workspace / "said", os.O_RDWR)) as pipe:
        yield pipe


def program(workspace: Path, behaviour: str, on_term: str = ENDS) -> dict[str, str]:
    path = workspace / "a rondo"
    path.write_text(PROGRAM.format(behaviour=behaviour, on_term=on_term))
    path.chmod(0o755)
    return {
        **os.environ,
        "RONDO": str(path),
        "RONDO_RESTART_PAUSE": "0",
        "RONDO_STOP_GRACE": "20" if on_term else "1",
        "PYTHONPATH": "",
    }


def heard(ear: TextIO) -> str:
    """What the program says next; waits until it speaks."""
    return ear.readline().strip()


@contextmanager
def supervisor(workspace: Path, behaviour: str, on_term: str = ENDS) -> Iterator[subprocess.Popen[bytes]]:
    script = workspace / "startup" / "sub_start.sh"
    with subprocess.Popen([script], env=program(workspace, behaviour, on_term), start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def log(workspace: Path) -> str:
    return (workspace / "log.txt").read_text()


def state_files(workspace: Path) -> set[str]:
    return {path.name for path in workspace.glob("*.fl")}


def stop(workspace: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([workspace / "startup" / "stop_fl.sh"], capture_output=True, check=True, timeout=30)


def test_every_script_is_accepted_by_the_shell_and_by_shellcheck(tmp_path: Path) -> None:
    outcome = run(tmp_path, encrypt=False)
    for one in outcome.made:
        folder = opened(outcome, one.participant.name, tmp_path / one.participant.name).folder
        scripts = sorted(folder.glob("*.sh"))
        assert len(scripts) in (2, 4)
        for script in scripts:
            subprocess.run(["sh", "-n", script], check=True)
        done = subprocess.run(["shellcheck", "-s", "sh", *scripts], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_starts_the_client_of_this_workspace(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, "exit 0") as process:
        words = heard(ear).split(" ", 1)[1]
        assert words == f"client start {workspace} [] [/local/custom]"
        assert process.wait(30) == 0
    assert "ended by itself" in log(workspace)
    assert state_files(workspace) == set()


def test_killed_program_is_started_again_at_once(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS) as process:
        first = int(heard(ear).split()[0])
        assert (workspace / "pid.fl").read_text().strip() == str(first)
        assert (workspace / "daemon_pid.fl").read_text().strip() == str(process.pid)
        os.kill(first, signal.SIGKILL)
        assert int(heard(ear).split()[0]) != first
        assert "exit code 137" in log(workspace)
        (workspace / "shutdown.fl").touch()
        assert heard(ear) == "ended"
        assert process.wait(30) == 0
    assert state_files(workspace) == set()


def test_a_program_that_cannot_run_is_given_up(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, "exit 3") as process:
        for _ in range(5):
            heard(ear)
        assert process.wait(30) == 1
    assert log(workspace).count("exit code 3") == 5
    assert "System is in trouble and unable to start the task!!!!!" in log(workspace)


def test_stop_ends_it_and_says_so(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS) as process:
        heard(ear)
        with subprocess.Popen([workspace / "startup" / "stop_fl.sh"], stdout=subprocess.PIPE) as stopping:
            assert heard(ear) == "ended"
            assert process.wait(30) == 0
            said, _ = stopping.communicate(timeout=30)
    assert b"client client1 has ended" in said
    assert b"is not running" in stop(workspace).stderr


def test_a_program_that_will_not_end_is_killed(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS, on_term="") as process:
        heard(ear)
        (workspace / "shutdown.fl").touch()
        assert process.wait(30) == 0
    assert "stopped" in log(workspace)


def test_restart_is_asked_for_by_a_file(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS) as process:
        first = int(heard(ear).split()[0])
        (workspace / "restart.fl").touch()
        assert heard(ear) == "ended"
        assert int(heard(ear).split()[0]) != first
        assert "restarted as asked" in log(workspace) and not (workspace / "restart.fl").exists()
        process.send_signal(signal.SIGTERM)
        assert heard(ear) == "ended"
        assert process.wait(30) == 0


def test_a_second_supervisor_is_refused(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS) as process:
        heard(ear)
        for script in ("sub_start.sh", "start.sh"):
            done = subprocess.run([workspace / "startup" / script], capture_output=True, check=False, timeout=30)
            assert done.returncode == 1 and b"There seems to be one instance" in done.stderr
        process.send_signal(signal.SIGTERM)
        assert heard(ear) == "ended"
        assert process.wait(30) == 0


def test_a_number_that_now_belongs_to_somebody_else_is_no_instance(workspace: Path, ear: TextIO) -> None:
    """After a reboot the files may name any process: here, the test's own."""
    for name in ("daemon_pid.fl", "pid.fl"):
        (workspace / name).write_text(f"{os.getpid()}\n")
    with supervisor(workspace, "exit 0") as process:
        heard(ear)
        assert process.wait(30) == 0


def test_its_own_number_from_an_earlier_life_is_no_instance(workspace: Path, ear: TextIO) -> None:
    """In a container the supervisor is process 1 in every life."""
    start = "echo $$ >daemon_pid.fl; exec startup/sub_start.sh"
    with subprocess.Popen(["sh", "-c", start], cwd=workspace, env=program(workspace, "exit 0")) as process:
        heard(ear)
        assert process.wait(30) == 0


def test_what_a_killed_supervisor_left_is_ended_first(workspace: Path, ear: TextIO) -> None:
    with supervisor(workspace, STAYS) as process:
        heard(ear)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    with supervisor(workspace, STAYS) as process:
        assert heard(ear) == "ended"
        heard(ear)
        assert "left by a supervisor that was killed" in log(workspace)
        process.send_signal(signal.SIGTERM)
        assert heard(ear) == "ended"
        assert process.wait(30) == 0


def test_start_returns_at_once_and_the_kit_stays_whole(workspace: Path, ear: TextIO) -> None:
    environment = program(workspace, STAYS)
    subprocess.run([workspace / "startup" / "start.sh"], env=environment, check=True, timeout=30, cwd="/")
    heard(ear)
    load_kit(workspace, NOW)
    with subprocess.Popen([workspace / "startup" / "stop_fl.sh"], stdout=subprocess.DEVNULL) as stopping:
        assert heard(ear) == "ended"
        assert stopping.wait(30) == 0


def test_admin_script_opens_the_console(tmp_path: Path) -> None:
    workspace = opened(run(tmp_path, encrypt=False), "lead@org1.com", tmp_path / "my desk").workspace
    program_path = workspace / "a rondo"
    program_path.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program_path.chmod(0o755)
    done = subprocess.run(
        [workspace / "startup" / "fl_admin.sh", "-c", "check_status server"],
        env={**os.environ, "RONDO": str(program_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"admin|{workspace}|-c|check_status server|"
    assert (workspace / "transfer").is_dir()
