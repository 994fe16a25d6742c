"""What training carries from round to round besides the model: optimizer, scheduler, and how far it has come.

It is written down after each round, so that a worker that takes a killed one's place goes on from the same state and
comes to the same numbers; and a round that is done twice starts twice from the same. Of several processes that train
together one writes: they all remember the same.
"""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

from rondo.trainers._mmar_best import save_whole
from rondo.trainers._mmar_wiring import Wiring

_KEEP = 2  # rounds


class Memory:
    """``folder``: where the files ``mmar_state_R.pt`` lie, of the round R that is done."""

    def __init__(self, wiring: Wiring, trainer: Any, folder: Path) -> None:
        self._torch = importlib.import_module("torch")
        self._trainer = trainer
        self._folder, self._writes = folder, wiring.sections.team.first
        self._parts = {
            name: part
            for name in ("optimizer", "lr_scheduler")
            if wiring.sections.node("train", name) is not None and (part := wiring.get("train", name)) is not None
        }
        self._fresh = copy.deepcopy(self._state())
        self._done: int | None = None

    def recall(self, round_number: int) -> None:
        """Be as after the round before ``round_number``; as at the beginning where nothing is known of it."""
        if self._done is not None and self._done == round_number - 1:
            return
        path = self._path(round_number - 1)
        state = copy.deepcopy(self._fresh)
        if path.is_file():
            state = self._torch.load(path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self._trainer.state.epoch = state["epoch"]

    def keep(self, round_number: int) -> None:
        """Write down how it is after ``round_number``."""
        self._done = round_number
        if not self._writes:
            return
        save_whole(self._torch, self._state(), self._path(round_number))
        for old in self._folder.glob("mmar_state_*.pt"):
            if old not in (self._path(round_number - back) for back in range(_KEEP)):
                old.unlink()

    def _state(self) -> dict[str, Any]:
        state = {name: part.state_dict() for name, part in self._parts.items()}
        return {**state, "epoch": self._trainer.state.epoch}

    def _path(self, round_number: int) -> Path:
        return self._folder / f"mmar_state_{round_number}.pt"
