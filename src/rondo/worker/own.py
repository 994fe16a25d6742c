"""The worker of a server that runs a job's own components, for as long as the run lasts. Files in, files out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rondo.base import rooms
from rondo.tensors.layout import read_layout
from rondo.worker.handing import write_tensors
from rondo.worker.tasks import seed_all
from rondo.worker.work import described, fold

Request = Mapping[str, Any]
Tell = Callable[[float, str], None]


class Own:
    """What the job's trainer brings for the server (its ``serve(code, rounds)``), made with the first request.

    It stands in the job's folder: what is written to a relative path lies there.
    """

    def __init__(self, request: Request) -> None:
        seed_all(int(request["seed"]))
        code = Path(request["code"])
        os.chdir(code)
        self._parts = rooms.pick("rondo.trainers", request["trainer"]["name"]).serve(code, int(request["rounds"]))

    def load(self, request: Request, _: Tell) -> dict[str, Any]:
        """The model that the run begins with, in the file ``out``."""
        seed_all(int(request["seed"]))
        model = self._parts.load()
        tensors = model.state_dict() if hasattr(model, "state_dict") else model
        return described(write_tensors(tensors, Path(request["out"]), where="the first model"))

    def send(self, request: Request, _: Tell) -> dict[str, Any]:
        """What sites are sent of ``model`` in a round, in the file ``out``; nothing where that is the model itself."""
        seed_all(int(request["seed"]))
        model = Path(request["model"])
        made = self._parts.send(int(request["round"]), model)
        if made is None:
            return {}
        return described(
            write_tensors(made, Path(request["out"]), model=read_layout(model), where="what sites are sent")
        )

    def aggregate(self, request: Request, tell: Tell) -> dict[str, Any]:
        """What they make of the contributions, as new weights in the file ``out``, and whose were ``accepted``."""
        seed_all(int(request["seed"]))
        base, out = Path(request["base"]), Path(request["out"])
        folded = out.with_name(f"{out.name}.folded")

        def mean(contributions: Sequence[Request]) -> Path:
            ones = [{key: one[key] for key in _FOLDED} for one in contributions]
            fold({**request, "contributions": ones, "out": str(folded)}, tell)
            return folded

        sent = request["contributions"]
        made, accepted = self._parts.aggregate(int(request["round"]), base, sent, mean, out)
        write_tensors(made, out, model=read_layout(base), where="aggregator")
        return {"accepted": accepted}

    def persist(self, request: Request, _: Tell) -> dict[str, Any]:
        """They are shown ``model``, the new one: the round is over."""
        seed_all(int(request["seed"]))
        self._parts.persist(Path(request["model"]))
        return {}


_FOLDED = ("site", "path", "kind", "omitted", "weight", "scale")
