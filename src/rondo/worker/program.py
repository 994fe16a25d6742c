"""A script in the worker: it asks for its tasks itself, so it runs the loop and the worker answers for it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.task import Site, Update
from rondo.tensors.files import TensorFile
from rondo.worker import api, local
from rondo.worker.arrays import for_script
from rondo.worker.channel import Channel
from rondo.worker.failures import failed, failure
from rondo.worker.tasks import hand_in, measured, task_of


class Program:
    """Runs ``run`` (the whole script) and answers requests as the script takes and submits its tasks.

    It is ready when it asks for its first task. What it raises, or that it ended, is the answer to every request
    that it leaves open or that comes afterwards.
    """

    def __init__(self, channel: Channel, site: Site, code: Path | None) -> None:
        self._channel, self._site, self._code = channel, site, code
        self._joined = self._closed = False

    def run(self, run: Callable[[], None]) -> int:
        """Return when the parent has no more requests; 1 when the script failed after its last task, else 0."""
        api.connect(self.tasks, self._channel.progress)
        end = failed("the script ended: it takes no more tasks")
        status = 0
        try:
            run()
        except BaseException as error:  # noqa: BLE001 the user's program ends here
            traceback.print_exception(error)
            end = {"say": "failed", **failure(error, self._code)}
            status = 0 if isinstance(error, SystemExit) and not error.code else 1
        else:
            if not self._joined:
                end = failed("the script ended without asking for a task (for task in rondo.join(): ...)")
        while not self._closed:
            if self._channel.asked is not None:
                self._channel.answer(end)
            self._closed = self._channel.next() is None
        return status

    def tasks(self) -> Iterator[api.JoinedTask]:
        """What ``rondo.join()`` yields here."""
        if not self._joined:
            self._joined = True
            self._channel.answer({"say": "ready"})
        while (request := self._next()) is not None:
            yield self._task(request)
            if self._channel.asked is request:
                text = f"the script did not submit round {request['round']}: call task.submit(...) before the next task"
                self._channel.answer(failed(text))

    def _next(self) -> dict[str, Any] | None:
        while (request := self._channel.next()) is not None:
            if request["do"] in ("train", "validate"):
                return request
            if request["do"] == "collect":  # nothing for the script to do
                self._collect(request)
                continue
            self._channel.answer(failed(f"a script cannot {request['do']!r}"))
        self._closed = True
        return None

    def _collect(self, request: dict[str, Any]) -> None:
        try:
            self._channel.answer({"say": "done", **local.collect(request)})
        except BadInput as error:
            self._channel.answer(failed(str(error)))

    def _task(self, request: dict[str, Any]) -> api.JoinedTask:
        path = Path(request["model"])

        def model() -> Mapping[str, Any]:
            return for_script(path)

        def submit(update: Update) -> None:
            with TensorFile(path) as file:
                if request["do"] == "validate":
                    fields = measured(update.samples, update.metrics)
                else:
                    fields = hand_in(update, request, file.layout)
            sys.stdout.flush()
            self._channel.answer({"say": "done", **fields})

        return api.JoinedTask(task_of(request, self._site), model, submit)
