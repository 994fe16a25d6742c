"""The parent's side of a worker: start it, ask it, watch it, end it.

A worker is a process of its own that is given files and returns files; user code runs nowhere else. It cannot
outlive its parent (see ``keeper``), and no process of it is left when ``open_worker`` is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from rondo.base.errors import ProtocolBroken, RondoError, WorkerDied
from rondo.worker.channel import encode, receive
from rondo.worker.process import Process, WorkerSpec, start_process, to_the_end

__all__ = ["Progress", "TaskFailed", "Worker", "WorkerSpec", "open_worker"]

Progress = Callable[[float, str], None]


class TaskFailed(RondoError):
    """User code, or the work asked for, failed; the worker lives and may be asked again.

    ``error`` is one line; ``kind`` names a Rondo error ("NoSpace"), else it is empty. ``traceback`` begins at the
    user's first frame; ``file`` (relative to the job folder where it lies in it) and ``line`` name the innermost
    frame of the user's code. ``last_lines`` are of the log.
    """

    exit_code = 8
    kind = traceback = file = last_lines = ""
    line = 0

    @property
    def error(self) -> str:
        return self.what

    @classmethod
    def of(cls, answer: Mapping[str, Any], where: str, last_lines: str) -> Self:
        said = {key: str(answer.get(key, "")) for key in ("error", "traceback", "kind", "file", "line")}
        failed = cls(said["error"], where=where, detail=said["traceback"])
        failed.kind, failed.traceback, failed.file = said["kind"], failed.detail, said["file"]
        failed.line, failed.last_lines = int(said["line"]) if said["line"].isdecimal() else 0, last_lines
        return failed


@asynccontextmanager
async def open_worker(spec: WorkerSpec) -> AsyncIterator[Worker]:
    """A running worker. Left in peace, it is asked to close and may finish; left by an error, it is killed.

    Raises ``NoSpace`` when the log cannot be written, ``MachineFault`` when no process can be started.
    """
    worker = Worker(spec, await start_process(spec))
    try:
        yield worker
        await worker.close()
    finally:
        await worker.kill()


class Worker:
    """One worker process. It is asked one thing at a time."""

    def __init__(self, spec: WorkerSpec, process: Process) -> None:
        self._spec = spec
        self._process = process

    @property
    def pid(self) -> int:
        """Of the keeper, the first of the worker's processes."""
        return self._process.pid

    async def ask(self, request: Mapping[str, Any], progress: Progress | None = None) -> dict[str, Any]:
        """The fields of the worker's answer.

        Raises ``TaskFailed``; ``WorkerDied`` at once when the process ends; ``ProtocolBroken`` when it speaks
        nonsense. When this call is cancelled the worker is gone before the cancellation goes on.
        """
        try:
            answer = await self._converse(request, progress)
        except BaseException:
            await self.kill()
            raise
        if answer["say"] == "failed":
            await self._process.output.catch_up()
            raise TaskFailed.of(answer, self._spec.tag, self._process.output.last_lines())
        return answer

    async def close(self) -> None:
        """Tell the worker that there is no more to do; kill it where it does not end by itself."""
        with suppress(ConnectionError):
            self._process.writer.write(encode({"do": "close"}))
            await self._process.lasts(self._spec.close_patience)
        await self.kill()

    async def kill(self) -> None:
        """End every process of this worker, now. Idempotent; a cancellation waits until it is done."""
        await to_the_end(self._process.kill())

    async def _converse(self, request: Mapping[str, Any], progress: Progress | None) -> dict[str, Any]:
        self._process.writer.write(encode(request))
        while True:
            answer = await receive(self._process.reader)
            match answer:
                case None:
                    raise await self._death(str(request.get("do")))
                case {"say": "progress", "fraction": float(fraction), "detail": str(detail)}:
                    if progress is not None:
                        progress(fraction, detail)
                case {"say": "ready" | "done" | "failed"}:
                    return answer
                case _:
                    raise ProtocolBroken(f"unknown answer {str(answer)[:100]}", where=self._spec.tag)

    async def _death(self, asked: str) -> WorkerDied:
        await self._process.lasts(3.0)  # its socket closes a moment before it ends; more than one on a busy machine
        how = self._process.how()
        await self.kill()
        return WorkerDied(
            f"the {self._spec.purpose} worker {how} (asked to {asked})",
            where=self._spec.tag,
            hint=f"its output is in {self._spec.log}",
            detail=self._process.output.last_lines(),
        )
