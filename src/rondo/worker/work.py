"""What a worker does besides training: make the first model, fold, filter, code, decode. Files in, files out."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rondo.base import options, rooms
from rondo.base.errors import BadInput
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import TensorFile
from rondo.tensors.layout import read_layout
from rondo.worker.checkpoint import write_checkpoint
from rondo.worker.handing import write_tensors
from rondo.worker.tasks import seed_all
from rondo.worker.threads import SideBySide, worth

Request = Mapping[str, Any]
Tell = Callable[[float, str], None]

# Rooms beside this one are reached by name and only when asked for: a worker pays for what it does.
_FOLDING, _AGGREGATE, _CHAIN = "rondo.aggregate.folding", "rondo.aggregate.seam", "rondo.filters.chain"
_CODEC, _CODING = "rondo.codecs.seam", "rondo.codecs.coding"


def prepare(request: Request) -> None:
    """Import what work of this kind needs, so that the first request does not wait for it.

    Raises ``NotFound`` or ``BadInput`` for ``filters`` or ``codecs`` that cannot be had here, before anybody trains.
    """
    for module in {"fold": (_FOLDING, _AGGREGATE), "filter": (_CHAIN,)}.get(request["kind"], ()):
        importlib.import_module(module)
    if request.get("filters"):
        importlib.import_module(_CHAIN).check_filters([(one["name"], one["options"]) for one in request["filters"]])
    for one in request.get("codecs", ()):
        _codec(one)
        importlib.import_module(_CODING)


def init(request: Request, _: Tell) -> dict[str, Any]:
    """Make the first model: from ``function`` ("module:name") called with ``args``, from a ``file``, or by the job's
    ``trainer``, which is given the folder ``code``.

    Functions and trainers return tensors by name, or anything with a ``state_dict()`` that does. The file is
    .safetensors, or a PyTorch checkpoint (.pt).
    """
    seed_all(int(request["seed"]))
    out = Path(request["out"])
    if not request.get("file"):
        model = _made(request)
        tensors = model.state_dict() if hasattr(model, "state_dict") else model
        return described(write_tensors(tensors, out, where=request.get("function") or "the first model"))
    file = Path(request["file"])
    if not file.is_file():
        raise BadInput("there is no such file to begin with", where=str(file), hint="it was written by an earlier run?")
    if file.suffix != ".safetensors":
        return described(write_tensors(_checkpoint(file), out, where=file.name))
    with TensorFile(file) as given:
        return described(write_tensors(given, out, model=given.layout, where=file.name))


def _made(request: Request) -> Any:
    if request.get("function"):
        return pkgutil.resolve_name(request["function"])(**request["args"])
    choice, where = request["trainer"], f"trainer {request['trainer']['name']}"
    module = rooms.pick("rondo.trainers", choice["name"])
    if not hasattr(module, "first_model"):
        raise BadInput("makes no first model", where=where, hint="name a function or a file under [model]")
    importlib.import_module("torch").manual_seed(int(request["seed"]))
    return module.first_model(options.decode(module.Options, choice["options"], where), Path(request["code"]))


def checkpoint(request: Request, _: Tell) -> dict[str, Any]:
    """Write the model file ``source`` as the PyTorch checkpoint ``out``, with what is ``beside`` the model in it."""
    write_checkpoint(Path(request["source"]), Path(request["out"]), request["beside"])
    return {}


def check(request: Request, _: Tell) -> dict[str, Any]:
    """What the job's ``trainer`` finds wrong with the folder ``code`` when it knows its libraries, without any data."""
    choice = request["trainer"]
    module = rooms.pick("rondo.trainers", choice["name"])
    return {"findings": module.check(Path(request["code"]), request["given"]) if hasattr(module, "check") else []}


def _checkpoint(path: Path) -> Any:
    """The state dict in a PyTorch checkpoint; nothing in it is unpickled that could run code."""
    torch = importlib.import_module("torch")
    found = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            return found[key]
    return found


def fold(request: Request, tell: Tell) -> dict[str, Any]:
    """Fold updates into the next model with the rule that ``request["rule"]`` names, on several threads.

    A rule that remembers reads that from ``request["memory"]`` (none in the first round) and writes it to
    ``request["memory_out"]``.
    """
    seam, folding, rule = importlib.import_module(_AGGREGATE), importlib.import_module(_FOLDING), request["rule"]
    base, memory = Path(request["base"]), Path(request["memory"]) if request.get("memory") else None
    unused = _matching(base, request.get("exclude_vars", ""))
    contributions = [
        seam.Contribution(**{**one, "path": Path(one["path"]), "omitted": frozenset(one["omitted"]), "unused": unused})
        for one in request["contributions"]
    ]
    threads = worth(base.stat().st_size)
    folded = folding.fold(
        base,
        contributions,
        seam.build_rule(rule["name"], rule["options"]),
        Path(request["out"]),
        folding.Memories(memory, Path(request["memory_out"])) if request.get("memory_out") else None,
        folding.Way(
            progress=lambda fraction: tell(float(fraction), "folding"),
            each=SideBySide(threads) if threads > 1 else folding.one_by_one,
        ),
    )
    remembered = described(folded.memory) if folded.memory else None
    return {**described(folded.model), "memory": remembered, "weights": dict(folded.weights)}


def _matching(model: Path, pattern: str) -> frozenset[str]:
    """Names of the tensors of ``model`` in which the regular expression is found; "" is found in none."""
    if not pattern:
        return frozenset()
    return frozenset(tensor.name for tensor in read_layout(model).tensors if re.search(pattern, tensor.name))


def filter(request: Request, _: Tell) -> dict[str, Any]:
    """Run filters over an update file; the result is a difference to the model received.

    Without filters the update stays as it is, unless one of the run's ``codecs`` loses something.
    """
    chain = importlib.import_module(_CHAIN)
    filters = [(one["name"], one["options"]) for one in request["filters"]]
    if not filters and all(_codec(one).lossless for one in request["codecs"]):
        return {}
    update = chain.UpdateFile(
        Path(request["update"]), request["kind"], frozenset(request["omitted"]), float(request["steps"])
    )
    result = chain.run_chain(Path(request["model"]), update, filters, int(request["seed"]), Path(request["out"]))
    return {**described(result.file), "kind": result.kind, "omitted": sorted(result.omitted)}


def encode(request: Request, _: Tell) -> dict[str, Any]:
    """Code the file ``source`` into ``out``.

    With feedback: what the file ``before`` says ("": none) was lost is added, and what is lost now goes to ``after``.
    """
    coding, codec, feedback = importlib.import_module(_CODING), _codec(request["codec"]), None
    if codec.feedback:
        before = Path(request["before"]) if request["before"] else None
        feedback = coding.Feedback(before, Path(request["after"]))
    return described(coding.encode(codec, Path(request["source"]), Path(request["out"]), feedback))


def decode(request: Request, _: Tell) -> dict[str, Any]:
    """Decode the file ``source`` into ``out``."""
    coding = importlib.import_module(_CODING)
    return described(coding.decode(_codec(request["codec"]), Path(request["source"]), Path(request["out"])))


def _codec(choice: Mapping[str, Any]) -> Any:
    return importlib.import_module(_CODEC).build_codec(choice["name"], choice["options"])


def described(file: FileInfo) -> dict[str, Any]:
    """A file as answers tell of it."""
    return {"path": str(file.path), "digest": file.digest, "size": file.size}
