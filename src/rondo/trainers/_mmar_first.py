"""The model that the first round starts from, where Clara's persistor makes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from rondo.jobs.mmar import CUSTOM, SERVER, check_label_format
from rondo.trainers._mmar_classes import use_custom
from rondo.trainers._mmar_place import Told, open_at
from rondo.trainers._mmar_wiring import Wiring


def make_first(code: Path) -> Any:
    """The persistor's model. Raises ``BadInput`` at its place, or where classification has no sound DATASET_JSON."""
    told = Told()
    mmar = open_at(None, told, code)
    check_label_format(mmar, outside=True)
    use_custom(code / CUSTOM)
    key = "model_persistor" if mmar.files[SERVER].get("model_persistor") else "persistor"
    wiring = Wiring(mmar, SERVER, importlib.import_module("torch").device("cpu"), told)
    persistor = wiring.sections.single("", key)
    assert persistor is not None  # the reader has seen it
    return wiring.make(persistor.args["model"], "model", "")
