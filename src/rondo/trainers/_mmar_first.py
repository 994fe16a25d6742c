"""The model that the first round starts from, where Clara's persistor makes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from rondo.jobs.mmar import CUSTOM, SERVER, Mmar, check_label_format
from rondo.trainers._mmar_classes import use_custom
from rondo.trainers._mmar_place import Told, open_at
from rondo.trainers._mmar_wiring import Wiring


def make_first(code: Path) -> Any:
    """The persistor's model. Raises ``BadInput`` at its place, or where classification has no sound DATASET_JSON."""
    told = Told()
    mmar = open_at(None, told, code)
    check_label_format(mmar, outside=True)
    use_custom(code / CUSTOM)
    wiring = Wiring(mmar, SERVER, importlib.import_module("torch").device("cpu"), told)
    persistor = wiring.sections.single("", persistor_key(mmar))
    assert persistor is not None  # the reader has seen it
    return wiring.make(persistor.args["model"], "model", "")


def persistor_key(mmar: Mmar) -> str:
    """Under which of its two names the server's config has the persistor."""
    return "model_persistor" if mmar.files[SERVER].get("model_persistor") else "persistor"
