"""What a worker does besides training: make the first model, fold updates, run filters. Files in, files out."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rondo.tensors.digest import FileInfo
from rondo.worker.handing import write_tensors
from rondo.worker.tasks import seed_all

Request = Mapping[str, Any]
Tell = Callable[[float, str], None]

# Rooms beside this one are reached by name and only when asked for: a worker pays for what it does.
_FOLDING, _AGGREGATE, _CHAIN = "rondo.aggregate.folding", "rondo.aggregate.seam", "rondo.filters.chain"


def prepare(kind: str) -> None:
    """Import what work of this kind needs, so that the first request does not wait for it."""
    for module in {"fold": (_FOLDING, _AGGREGATE), "filter": (_CHAIN,)}.get(kind, ()):
        importlib.import_module(module)


def init(request: Request, _: Tell) -> dict[str, Any]:
    """Make the first model: from ``function`` ("module:name") called with ``args``, or from a ``file`` (.pt).

    The function returns tensors by name, or anything with a ``state_dict()`` that does.
    """
    seed_all(int(request["seed"]))
    if request.get("file"):
        model = _checkpoint(Path(request["file"]))
    else:
        model = pkgutil.resolve_name(request["function"])(**request["args"])
        if hasattr(model, "state_dict"):
            model = model.state_dict()
    return _described(write_tensors(model, Path(request["out"]), where="first model"))


def _checkpoint(path: Path) -> Any:
    """The state dict in a PyTorch checkpoint; nothing in it is unpickled that could run code."""
    torch = importlib.import_module("torch")
    found = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            return found[key]
    return found


def fold(request: Request, tell: Tell) -> dict[str, Any]:
    """Fold updates into the next model with the rule that ``request["rule"]`` names."""
    seam, rule = importlib.import_module(_AGGREGATE), request["rule"]
    contributions = [
        seam.Contribution(**{**one, "path": Path(one["path"]), "omitted": frozenset(one["omitted"])})
        for one in request["contributions"]
    ]
    folded = importlib.import_module(_FOLDING).fold(
        Path(request["base"]),
        contributions,
        seam.build_rule(rule["name"], rule["options"]),
        Path(request["out"]),
        progress=lambda fraction: tell(float(fraction), "folding"),
    )
    return _described(folded)


def filter(request: Request, _: Tell) -> dict[str, Any]:
    """Run filters over an update file; the result is a difference to the model received."""
    seed_all(int(request["seed"]))
    result = importlib.import_module(_CHAIN).run_chain(
        model=Path(request["model"]),
        update=Path(request["update"]),
        kind=request["kind"],
        omitted=frozenset(request["omitted"]),
        steps=float(request["steps"]),
        filters=[(one["name"], one["options"]) for one in request["filters"]],
        seed=int(request["seed"]),
        out=Path(request["out"]),
    )
    return {**_described(result.file), "kind": result.kind, "omitted": sorted(result.omitted)}


def _described(file: FileInfo) -> dict[str, Any]:
    return {"path": str(file.path), "digest": file.digest, "size": file.size}
