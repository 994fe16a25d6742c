"""Who ends a worker: a keeper, forked before anything heavy is imported.

Theory of operation. ``python -m rondo.worker.child`` forks at once. The copy becomes the worker; the original
stays behind as the keeper, holds nothing and waits for the first of two things: the worker ends, or the lifeline
(a pipe whose other end only the parent holds) is cut, because the parent said so or because it died, even of
kill -9. Then the keeper kills every process that descends from the worker and is gone itself, leaving as the
worker did (same exit code or signal). A worker that holds the GIL, ignores SIGTERM, hangs in C or is stopped
changes nothing: SIGKILL needs no cooperation. On Linux the keeper is the subreaper, so orphans, daemons and
processes in other sessions come back to it and are found; elsewhere the process group is killed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def keep(lifeline: int, channel: int) -> None:
    """Fork. Returns in the worker only; the keeper closes ``channel`` and never comes back."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a parent's mask came along
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    worker = os.fork()
    if worker == 0:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (lifeline, bell, ring):
            os.close(descriptor)
        if os.getppid() != keeper:  # it was killed before the line above could tell
            os._exit(1)
        return
    os.close(channel)
    for number in _ENDING:  # a worker may signal its whole group; that is not meant for the keeper
        signal.signal(number, signal.SIG_IGN)
    _leave(_watch(worker, lifeline, bell))


def _watch(worker: int, lifeline: int, bell: int) -> int:
    """Wait for the end of ``worker`` or of the parent; then end what is left. Returns the worker's wait status."""
    waiting = select.poll()
    waiting.register(lifeline, select.POLLIN)
    waiting.register(bell, select.POLLIN)
    status = None
    while status is None:
        ready = [descriptor for descriptor, _ in waiting.poll()]
        if lifeline in ready:
            os.kill(worker, signal.SIGKILL)
            status = os.waitpid(worker, 0)[1]
        elif os.read(bell, 4096):
            ended, ending = os.waitpid(worker, os.WNOHANG)
            status = ending if ended else None
    _end_descendants()
    return status


def _end_descendants() -> None:
    """Kill children until there are none: what a killed child leaves behind becomes a child in turn."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                _kill_children()
                os.waitpid(-1, 0)
    except ChildProcessError:
        return


def _kill_children() -> None:
    if sys.platform != "linux":
        os.killpg(0, signal.SIGKILL)
    me = str(os.getpid()).encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1]
            if parent == me:
                os.kill(int(entry), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while we looked, or has another owner


def _leave(status: int) -> None:
    """End as the worker did, so that whoever waits for the keeper learns how the worker ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
