"""What can be found wrong with an MMAR by who knows MONAI's classes, without data and without running its own code."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import decode, nearest
from rondo.base.rooms import pick
from rondo.jobs.components import Code, Component
from rondo.jobs.findings import Finding, Findings
from rondo.jobs.mmar import (
    CLIENT,
    CUSTOM,
    SERVER,
    TRAIN,
    Mmar,
    as_choice,
    known_as,
    open_mmar,
    own_at_server,
    own_parts,
)
from rondo.jobs.placed import Placed
from rondo.trainers._mmar_sections import NAMES, VALIDATING
from rondo.trainers._mmar_wiring import LISTS, METRICS, ROLES, Wiring

_NEEDED = ("model", "loss", "optimizer", "dataset", "dataloader", "trainer")


def findings(folder: Path, given: Mapping[str, Any]) -> list[Finding]:
    """Unknown classes, arguments that a class does not take, references to nothing, with their places."""
    found = Findings()
    mmar = open_mmar(folder, given)
    device = importlib.import_module("torch").device("cpu")
    if TRAIN in mmar.files:
        wiring = Wiring(mmar, TRAIN, device, found.warn)
        _check(wiring, found)
        for key in _NEEDED if _trained_by_clara(mmar) else ():
            if wiring.sections.node("train", key) is None:
                found.error(f"{key} is missing in train", wiring.sections.root.place)
    if mmar.validation():
        validating = open_mmar(folder, {**VALIDATING, **given})
        _check(Wiring(validating, mmar.validation(), device, found.warn), found)
    if SERVER in mmar.files:
        _check_server(Wiring(mmar, SERVER, device, found.warn), found)
    if CLIENT in mmar.files:
        for own in own_parts(mmar):
            with found.collecting():
                _check_own(own, folder / CUSTOM)
    return found.found


def _trained_by_clara(mmar: Mmar) -> bool:
    """Whether the client's trainer is not one of its own, which takes of the config what it likes."""
    node = mmar.files[CLIENT].get("client_trainer") if CLIENT in mmar.files else None
    trainer = mmar.reading(CLIENT).component(node) if node is not None else None
    return trainer is None or known_as(trainer) != ""


def _check_server(wiring: Wiring, found: Findings) -> None:
    """The model that the persistor makes, and what is of the MMAR's own."""
    for key in ("model_persistor", "persistor"):
        with found.collecting():
            made = wiring.sections.single("", key)
            model = made.args.get("model") if made is not None and known_as(made) else None
            if isinstance(model, Component):
                _check_component(wiring, model, ("model", "", ""), found)
    for own in own_at_server(wiring.sections.mmar):
        with found.collecting():
            _check_own(own, wiring.sections.mmar.folder / CUSTOM)
    for key in ("inbound_filters", "outbound_filters"):
        with found.collecting():
            _check_filters(wiring.sections.listed("", key))


def _check_filters(listed: Iterable[Component]) -> None:
    """Rondo's filters take these options. Raises ``BadInput`` at the place of one that does not."""
    for one in listed:
        choice = as_choice(one, Findings()) if known_as(one) else None
        if choice is not None:
            decode(pick("rondo.filters", choice.name).Options, choice.options, choice.place)


def _check(wiring: Wiring, found: Findings) -> None:
    for section in NAMES:
        for key in (*ROLES, *LISTS, *METRICS):
            role = ROLES.get(key) or LISTS.get(key) or "metric"
            for node in _nodes(wiring, section, key, found):
                with found.collecting():
                    made = wiring.sections.component(node, key)
                    if made is not None:
                        _check_component(wiring, made, (role, section, key), found)


def _nodes(wiring: Wiring, section: str, key: str, found: Findings) -> list[Placed]:
    """What is to be looked at under ``key``: of the alternatives for a model only the network."""
    with found.collecting():
        items = wiring.sections.items(section, key)
        return [one for one in items if key != "model" or not {"ts_path", "ckpt_path"} & set(one.table)]
    return []


def _check_component(wiring: Wiring, made: Component, at: tuple[str, str, str], found: Findings) -> None:
    role, section, key = at
    for inner in _inside(made.args):
        with found.collecting():
            if isinstance(inner, Component):
                _check_component(wiring, inner, ("", section, ""), found)
            else:
                wiring.see_references(inner, section)
    custom = wiring.sections.mmar.folder / CUSTOM / (made.name.partition(".")[0] + ".py")
    if made.dotted and (custom.exists() or custom.with_suffix("").exists()):
        _check_own(made, wiring.sections.mmar.folder / CUSTOM)
    else:
        wiring.prepared(made, role, section, key)


def _inside(value: Any) -> Iterator[Component | Code]:
    """Components and Python in arguments, the outermost ones."""
    match value:
        case Component() | Code():
            yield value
        case Mapping() | list():
            for item in value.values() if isinstance(value, Mapping) else value:
                yield from _inside(item)


def _check_own(made: Component, custom: Path) -> None:
    """The module is there and has something of that name; none of it is run."""
    module, _, name = made.name.rpartition(".")
    stem = custom.joinpath(*module.split("."))
    file = stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"
    if not file.is_file():
        raise BadInput(f"no module {module!r} in {CUSTOM}/", where=str(made.place))
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f"{CUSTOM}/{file.relative_to(custom)}:{getattr(error, 'lineno', None) or 1}"
        raise BadInput(f"cannot be compiled: {getattr(error, 'msg', error)}", where=where) from None
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names |= {alias.asname or alias.name for node in imported for alias in node.names}
    if name not in names and "*" not in names:
        raise BadInput(f"module {module!r} has no {name!r}", where=str(made.place), hint=nearest(name, names))
