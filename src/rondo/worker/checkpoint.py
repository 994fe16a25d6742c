"""A model file as a PyTorch checkpoint that ``torch.load(..., weights_only=True)`` reads."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.base.disk import disk_errors
from rondo.worker.arrays import for_script


def write_checkpoint(source: Path, out: Path, beside: Mapping[str, Any]) -> None:
    """Write the tensors of ``source`` (.safetensors) as ``model`` in a table with what is ``beside`` it.

    ``out`` appears whole or not at all. The model is mapped, not read. Raises ``NoSpace``; ``ImportError`` where
    there is no PyTorch.
    """
    torch = importlib.import_module("torch")
    with disk_errors(out, "write the checkpoint"):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            torch.save({**beside, "model": for_script(source)}, part)
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)
