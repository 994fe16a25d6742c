"""Starting a worker process and ending it with everything it started."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rondo.base.errors import MachineFault
from rondo.worker.output import LogFile, OnLine, Output
from rondo.worker.sandbox import Sandbox

_KILL_PATIENCE = 0.5  # seconds that the keeper has before it is killed, too
_LAST_WORDS = 1.0  # seconds after the end in which what was sent before is read
_OF_TORCHRUN = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
)
_COMMAND = ("-P", "-X", "faulthandler", "-m", "rondo.worker.child")


@dataclass(frozen=True)
class WorkerSpec:
    """``code``: job folder that user code is imported from. ``tag``: name of the site, begins each line of ``log``.

    ``env`` comes on top of the parent's environment, of which names beginning with ``RONDO_`` are kept back.
    ``seed`` fixes the order of sets of strings (``PYTHONHASHSEED``). ``close_patience`` is how many seconds user
    code may go on after its last task. A log of ``log_limit`` bytes becomes ``log.1``, one older is kept.
    ``on_line`` gets what is printed, at most 50 lines a second. ``cpus``: processors it may run on, None: all.
    ``sandbox``: what it sees of this machine, None: all that its user sees.
    """

    purpose: Literal["train", "fold", "filter", "init", "own"]
    log: Path
    tag: str
    code: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    close_patience: float = 10.0
    log_limit: int = 64 * 1024 * 1024
    on_line: OnLine | None = None
    cpus: tuple[int, ...] | None = None
    sandbox: Sandbox | None = None


class Process:
    """A worker process, its socket (``reader``, ``writer``), its ``output``; ``ended`` is a task that ends with it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lifeline: int,
        output: Output,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        sandboxed: bool,
    ) -> None:
        self.pid = process.pid
        self.output = output
        self.reader, self.writer = streams
        self.ended = asyncio.create_task(process.wait())
        self.ended.add_done_callback(lambda _: self._after_end())
        self._lifeline: int | None = lifeline
        self._sandboxed = sandboxed

    async def lasts(self, seconds: float) -> bool:
        """Whether it still runs after so many seconds; known at once when it does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(self.ended)
        return not self.ended.done()

    async def kill(self) -> None:
        """End every process of this worker. Idempotent."""
        if self._lifeline is not None:
            os.close(self._lifeline)  # now the keeper kills and reaps
            self._lifeline = None
            self._signal_group(signal.SIGCONT)  # it may have been stopped
        if await self.lasts(_KILL_PATIENCE):
            self._signal_group(signal.SIGKILL)
            await asyncio.shield(self.ended)
        await self.output.finish()
        self.writer.close()

    def how(self) -> str:
        """How it ended, for people: "was killed by SIGKILL (out of memory?)"."""
        if not self.ended.done():
            return "closed its channel to its parent without an answer"
        code = self.ended.result()
        if self._sandboxed and code > 128 + signal.NSIG:  # the keeper is its sandbox's init, which no signal ends
            code -= 256
        if code < 0:
            likely = " (out of memory?)" if -code == signal.SIGKILL else ""
            return f"was killed by {signal.Signals(-code).name}{likely}"
        return f"ended with exit code {code} without an answer"

    def _after_end(self) -> None:
        """What it sent before its end is still read; but nothing that it left behind may keep the socket open."""
        self._signal_group(signal.SIGKILL)
        asyncio.get_running_loop().call_later(_LAST_WORDS, self.writer.transport.abort)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def start_process(spec: WorkerSpec) -> Process:
    """Raises ``NoSpace`` when the log cannot be written, ``MachineFault`` when no process can be started,
    ``SiteRefused`` where there is no sandbox to be had."""
    log = LogFile(spec.log, spec.tag, spec.log_limit)
    try:
        with ExitStack() as childs, ExitStack() as undo:
            undo.callback(log.close)
            ours, theirs = socket.socketpair()
            childs.enter_context(theirs)
            undo.callback(ours.close)
            streams = await asyncio.open_connection(sock=ours)
            undo.callback(streams[1].close)
            cut, lifeline = _pipe(reads=childs, writes=undo)
            printed, prints = _pipe(reads=undo, writes=childs)
            process = await asyncio.create_subprocess_exec(
                *(spec.sandbox.command() if spec.sandbox else ()),
                *(sys.executable, *_COMMAND, spec.purpose),  # the purpose is for those who look at processes
                stdin=asyncio.subprocess.DEVNULL,
                stdout=prints,
                stderr=prints,
                env=_environment(spec, theirs.fileno(), cut),
                pass_fds=(theirs.fileno(), cut),
                start_new_session=True,
            )
            undo.pop_all()
    except OSError as error:
        raise MachineFault(f"cannot start a worker: {error}", where=spec.tag) from error
    return Process(process, lifeline, Output(printed, log, spec.on_line), streams, spec.sandbox is not None)


def _pipe(reads: ExitStack, writes: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed with these stacks."""
    ends = os.pipe()
    reads.callback(os.close, ends[0])
    writes.callback(os.close, ends[1])
    return ends


def _environment(spec: WorkerSpec, channel: int, lifeline: int) -> dict[str, str]:
    # What a server or client is told through RONDO_ variables (a database URL, a password) is not for user code; and
    # where a cluster has started it by torchrun, it is no rank of anything that is trained here.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RONDO_") and name not in _OF_TORCHRUN
    }
    if spec.sandbox:
        inherited = spec.sandbox.environment(inherited)
    fixed = {
        "RONDO_CHANNEL": str(channel),
        "RONDO_LIFELINE": str(lifeline),
        "RONDO_CODE": str(spec.code.resolve()) if spec.code else "",
        "RONDO_CPUS": " ".join(map(str, spec.cpus or ())),
        "PYTHONUNBUFFERED": "1",  # what was printed before a SIGKILL is already in the pipe
        "PYTHONHASHSEED": str(spec.seed % 2**32),
    }
    return {"MALLOC_ARENA_MAX": "2", **inherited, **spec.env, **fixed}


async def to_the_end(ending: Coroutine[Any, Any, None]) -> None:
    """Await ``ending`` whatever happens; a cancellation that comes meanwhile goes on afterwards."""
    task = asyncio.ensure_future(ending)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
