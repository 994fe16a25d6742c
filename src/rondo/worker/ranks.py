"""Several processes that train as one: torchrun starts them, each is told every task, the first one answers.

Theory of operation. torchrun (``torch.distributed.run``) starts ``rondo.worker.rank`` G times, with a rendezvous port
of its own choice at every launch, so that any number of such clients live on one host. Each rank dials back over a
socket in a folder that is only ours, and gets the same requests: the model is a file that all of them map, so nothing
has to be sent round. The answer is that of rank 0, once all ranks have theirs; it is on its way before anything is
torn down, and nobody looks at how torchrun ends. A rank that fails or dies fails the task at once, with its own
traceback: the others, which wait for it somewhere in a collective, are killed, and new ranks begin with the next task.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput, RondoError
from rondo.jobs.check import see_it_trains_in_several
from rondo.worker.channel import Channel, encode, take
from rondo.worker.failures import failed, failure

DOOR = "door"  # the socket's name in its folder
_LAST_WORDS = 0.5  # seconds after a failure in which the death of another rank is taken for its cause

Request = Mapping[str, Any]
Answer = dict[str, Any]


class Ranks:
    """Serves the worker's requests by ``count`` processes."""

    def __init__(self, channel: Channel, count: int, code: Path | None) -> None:
        self._channel, self._count, self._code = channel, count, code
        self._group: _Group | None = None

    def serve(self, opening: Request) -> int:
        """From the request that opens the trainer to the last. Returns the exit code of the worker.

        Raises ``BadInput`` for a trainer that trains in one process only.
        """
        see_it_trains_in_several(opening["job"]["name"], "gpus")
        alone = {**opening, "ranks": 1}
        request: Request | None = alone
        while request is not None:
            try:
                answer = self._answer(request, alone)
            except (RondoError, OSError) as error:
                answer = {"say": "failed", **failure(error, self._code)}
            if answer["say"] == "failed":
                self._end()
            self._channel.answer(answer)
            request = self._channel.next()
        if self._group is not None:
            self._group.close()
        return 0

    def _answer(self, request: Request, opening: Request) -> Answer:
        if self._group is None:
            self._group = _Group(self._count, self._code)
            if request is not opening:
                opened = self._group.ask(opening, self._channel)
                if opened["say"] == "failed":
                    return opened
        return self._group.ask(request, self._channel)

    def _end(self) -> None:
        if self._group is not None:
            self._group.kill()
            self._group = None


@dataclass(frozen=True)
class _Rank:
    number: int
    pid: int
    end: socket.socket


class _Group:
    """The ranks of one launch. Raises ``BadInput`` where the site has too few GPUs, or they do not start."""

    def __init__(self, count: int, code: Path | None) -> None:
        self._ranks: dict[int, _Rank] = {}
        self._torchrun: subprocess.Popen[bytes] | None = None
        with (
            ExitStack() as undo,
            tempfile.TemporaryDirectory(prefix="rondo-ranks-") as folder,
            socket.socket(socket.AF_UNIX) as door,
        ):
            undo.callback(self.kill)
            with chdir(folder):  # the folder's name may be longer than the address of a socket, see unix(7)
                door.bind(DOOR)
            door.listen(count)
            self._torchrun = _launch(count, folder, code)
            with _end_of(self._torchrun) as ended:
                while len(self._ranks) < count:
                    self._let_in(door, ended, count)
            undo.pop_all()

    def _let_in(self, door: socket.socket, ended: socket.socket, count: int) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(door, selectors.EVENT_READ)
            waiting.register(ended, selectors.EVENT_READ)
            if ended in [key.fileobj for key, _ in waiting.select()]:
                raise BadInput(f"{count} processes could not be started", where="torchrun", hint="see the run's log")
        end = door.accept()[0]
        said = take(end)
        if said is None:
            raise BadInput("a process ended at once", where="torchrun", hint="see the run's log")
        self._ranks[said["rank"]] = _Rank(said["rank"], said["pid"], end)
        if 0 < said["gpus"] < count:
            raise BadInput(f"{count} GPUs are asked for, this site has {said['gpus']}", where="gpus")

    def ask(self, request: Request, parent: Channel) -> Answer:
        """The answer of rank 0, or the first failure of any."""
        for rank in self._ranks.values():
            silent = {} if rank.number == 0 else {"silent": True}
            with suppress(ConnectionError):  # it is dead: that is read below
                rank.end.sendall(encode({**request, **silent}))
        answers: dict[int, Answer] = {}
        with selectors.DefaultSelector() as waiting:
            for rank in self._ranks.values():
                waiting.register(rank.end, selectors.EVENT_READ, rank)
            first: Answer | None = None
            until = 0.0
            while len(answers) < len(self._ranks):
                ready = waiting.select(None if first is None else until - time.monotonic())
                if not ready and first is not None:
                    return first
                for key, _ in ready:
                    rank, said = key.data, take(key.data.end)
                    if said is None:
                        return self._death(rank)
                    if said["say"] == "progress":
                        if rank.number == 0:
                            parent.progress(said["fraction"], said["detail"])
                        continue
                    answers[rank.number] = said
                    waiting.unregister(rank.end)
                    if said["say"] == "failed" and first is None:
                        first = {**said, "error": f"{self._called(rank)}: {said['error']}"}
                        until = time.monotonic() + _LAST_WORDS
        return first or answers[0]

    def _called(self, rank: _Rank) -> str:
        return f"rank {rank.number} of {len(self._ranks)}"

    def _death(self, rank: _Rank) -> Answer:
        text = f"{self._called(rank)} ended without an answer (out of memory?); see the last lines of its output"
        return failed(text)

    def close(self) -> None:
        """There is no more to do: the ranks end by themselves, and nobody looks how."""
        for rank in self._ranks.values():
            with suppress(ConnectionError):
                rank.end.sendall(encode({"do": "close"}))
        for rank in self._ranks.values():
            while take(rank.end) is not None:
                pass
        self.kill()

    def kill(self) -> None:
        """End every rank with what it started, and torchrun."""
        if self._torchrun is not None:
            self._torchrun.kill()
            self._torchrun.wait()
        for rank in self._ranks.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(rank.pid, signal.SIGKILL)
            rank.end.close()


def _launch(count: int, folder: str, code: Path | None) -> subprocess.Popen[bytes]:
    threads = str(max(1, (os.cpu_count() or 1) // count))
    env = {
        "OMP_NUM_THREADS": threads, "GLOO_SOCKET_IFNAME": "lo", **os.environ, "PYTHONSAFEPATH": "1",
        "RONDO_RANKS": folder, "RONDO_CODE": str(code) if code else "",
    }  # fmt: skip
    # What the host is called may lead nowhere: in a sandbox there is no network but this.
    here = ("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1")
    options = ("--nnodes=1", f"--nproc-per-node={count}", *here)
    command = [sys.executable, "-m", "torch.distributed.run", *options, "--monitor-interval=0.2"]
    return subprocess.Popen([*command, "-m", "rondo.worker.rank"], env=env, stdin=subprocess.DEVNULL)


def _end_of(process: subprocess.Popen[bytes]) -> socket.socket:
    """A socket that can be read once the process has ended."""
    ours, theirs = socket.socketpair()

    def wait() -> None:
        process.wait()
        theirs.close()

    threading.Thread(target=wait, daemon=True).start()
    return ours
