"""Inside the worker process (``python -m rondo.worker.child``): take a request, do it, answer it, until told to close.

What a request needs is imported when it is asked for, so that a worker pays only for what it does: numpy, torch
and the rooms that aggregate and filter are not loaded by a worker that does not use them.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.base import rooms
from rondo.base.malloc import keep_freed
from rondo.base.options import decode
from rondo.jobs.task import Site
from rondo.worker import api
from rondo.worker.channel import Channel
from rondo.worker.failures import failure
from rondo.worker.keeper import keep

Request = Mapping[str, Any]


def main() -> int:
    end, lifeline = int(os.environ.pop("RONDO_CHANNEL")), int(os.environ.pop("RONDO_LIFELINE"))
    code = os.environ.pop("RONDO_CODE", "")
    if cpus := os.environ.pop("RONDO_CPUS", ""):
        os.sched_setaffinity(0, map(int, cpus.split()))
    for inherited in (end, lifeline):
        os.set_inheritable(inherited, False)
    keep(lifeline, end)  # from here on in the copy; the original never returns
    if code:
        sys.path.insert(0, code)
    return Child(Channel(socket.socket(fileno=end)), Path(code) if code else None).serve()


class Child:
    """Answers requests. A failed one leaves the worker ready for the next."""

    def __init__(self, channel: Channel, code: Path | None) -> None:
        self._channel, self._code = channel, code
        self._site: Site | None = None
        self._trainer: Any = None
        self._own: Any = None
        api.connect(None, channel.progress)

    def serve(self) -> int:
        """Returns the exit code of the process."""
        while (request := self._channel.next()) is not None:
            try:
                answer = self._do(request)
            except BaseException as error:  # noqa: BLE001 a task ends here, whatever ended it
                traceback.print_exception(error)
                answer = {"say": "failed", **failure(error, self._code)}
            if isinstance(answer, int):  # a script took the requests itself, to the last
                return answer
            sys.stdout.flush()
            self._channel.answer(answer)
        return 0

    def _do(self, request: Request) -> dict[str, Any] | int:
        match request["do"]:
            case "open" if request.get("ranks", 1) > 1:
                status: int = _lazy("ranks").Ranks(self._channel, request["ranks"], self._code).serve(request)
                return status
            case "open" if request["kind"] == "train":
                return self._open_trainer(request)
            case "open" if request["kind"] == "own":
                self._own = _lazy("own").Own(request)
                return {"say": "ready"}
            case "open":
                _lazy("work").prepare(request)
                return {"say": "ready"}
            case ("train" | "validate" | "collect") as work if self._trainer is not None:
                return {"say": "done", **getattr(_lazy("tasks"), work)(self._trainer, request, self._site)}
            case ("load" | "send" | "aggregate" | "persist") as work if self._own is not None:
                return {"say": "done", **getattr(self._own, work)(request, self._channel.progress)}
            case ("init" | "check" | "checkpoint" | "fold" | "filter" | "encode" | "decode") as work:
                return {"say": "done", **getattr(_lazy("work"), work)(request, self._channel.progress)}
            case unknown:
                raise ValueError(f"this worker cannot {unknown!r}")

    def _open_trainer(self, request: Request) -> dict[str, Any] | int:
        named = request["site"]
        data = Path(named["data"]) if named.get("data") else None
        site = Site(named["name"], Path(named["workspace"]), Path(named["code"]).resolve(), data)
        site.workspace.mkdir(parents=True, exist_ok=True)
        os.chdir(site.workspace)
        _lazy("tasks").seed_all(int(request["seed"]))
        job = request["job"]
        keep_freed(64)
        module = rooms.pick("rondo.trainers", job["name"])
        trainer = module.build(decode(module.Options, job["options"], f"trainer {job['name']}"), site)
        if hasattr(trainer, "run"):
            left: int = _lazy("program").Program(self._channel, site, self._code).run(trainer.run)
            return left
        self._site, self._trainer = site, trainer
        return {"say": "ready"}


def _lazy(name: str) -> Any:
    return importlib.import_module(f"rondo.worker.{name}")


if __name__ == "__main__":
    sys.exit(main())
