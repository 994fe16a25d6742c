"""The best local model: kept as a file while training validates itself, across rounds and workers."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.trainers._mmar_wiring import Wiring
from rondo.trainers.seam import scalars

FILE = "local_best_model.pt"


class BestLocal:
    """Watches the evaluator of the config, if training has one. ``metrics``: what it found last. Of several processes
    one writes."""

    def __init__(self, wiring: Wiring, network: Any, folder: Path) -> None:
        self.metrics: Mapping[str, float] = {}
        self._torch = importlib.import_module("torch")
        self._network, self._writes = network, wiring.sections.team.first
        self._path = folder / "models" / FILE
        self._conf = wiring.sections.root.plain()
        self._best: float | None = None
        if self._path.is_file():
            self._best = float(self._torch.load(self._path, weights_only=True)["key_metric"])
        evaluator = wiring.get("validate", "evaluator") if wiring.sections.node("validate", "evaluator") else None
        if evaluator is not None:
            completed = importlib.import_module("ignite.engine").Events.COMPLETED
            evaluator.add_event_handler(completed, self._see)

    def _see(self, evaluator: Any) -> None:
        self.metrics = scalars(evaluator.state.metrics)
        key = evaluator.state.key_metric_name
        value = self.metrics.get(key) if key is not None else None
        if value is not None and (self._best is None or value > self._best):
            self._best = value
            if not self._writes:
                return
            save_whole(
                self._torch,
                {"model": self._network.state_dict(), "train_conf": self._conf, "key_metric": value},
                self._path,
            )


def save_whole(torch: Any, content: Mapping[str, Any], path: Path) -> None:
    """A PyTorch file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    torch.save(dict(content), part)
    os.replace(part, path)
