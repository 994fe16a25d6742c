"""Which room stands on which floor, and what each may import. The one place where that is written for machines."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from tests.arch.tree import Import, Module, calls, imports

FLOORS: tuple[tuple[str, ...], ...] = (
    ("base",),
    ("tensors",),
    ("wire", "rounds", "aggregate", "filters", "codecs", "jobs", "pki", "policy", "commands"),
    ("net", "ledger", "blobs", "worker", "trainers", "compat"),
    ("server", "client", "console", "dashboard", "provision"),
    ("simulator",),
    ("cli",),
)

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# ``import rondo`` is what a training script writes; the package hands out names of the worker's floor and below.
FLOOR["rondo"] = FLOOR["worker"]

PURE = frozenset({"tensors", "wire", "rounds", "aggregate", "filters", "codecs", "jobs", "pki", "policy", "commands"})

# Time, chance and the world: pure rooms get them as arguments.
WORLD = frozenset({"asyncio", "socket", "time", "threading", "subprocess", "random", "multiprocessing"})

# The wall clock by another door.
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})

# Where imports may stand inside functions: commands load what they need, so that `rondo --help` is quick.
LATE = frozenset({"cli"})

# What a room may not import beside that.
KEPT_OUT: dict[str, frozenset[str]] = {"pki": frozenset({"os", "shutil", "tempfile", "ssl", "grpc", "http", "urllib"})}


def upward(modules: Iterable[Module]) -> list[str]:
    """Imports of a room on the same floor or above, of a room that stands nowhere, or of the roof."""
    faults = []
    for module in modules:
        if module.room and module.room not in FLOOR:
            faults.append(f"{module.path}:1: room {module.room!r} stands on no floor: add it to FLOORS")
            continue
        faults += [fault for one in imports(module) if (fault := _fault(module, one))]
    return faults


def _fault(module: Module, one: Import) -> str:
    if not one.room or one.room == module.room or module.name == "rondo.__main__":
        return ""
    if module.is_roof:
        at_once = one.top and not one.typing
        return f"{one.where}: the package imports {one.target} at once, not when asked for" if at_once else ""
    if one.room not in FLOOR:
        return f"{one.where}: imports {one.target}, which is no room"
    mine, theirs = FLOOR[module.room], FLOOR[one.room]
    if theirs < mine:
        return ""
    what = "a neighbour" if theirs == mine else "upward"
    return f"{one.where}: {module.room} (floor {mine}) imports {one.target} (floor {theirs}): {what}"


def late(modules: Iterable[Module]) -> list[str]:
    """Imports inside functions, unless the line says why (``# noqa: PLC0415``).

    A foreign library may be imported by name where it is needed: torch is looked for only by who trains with it.
    """
    return [
        f"{one.where}: {one.target} is imported inside a function"
        for module in modules
        if module.room not in LATE
        for one in imports(module)
        if not one.top and not (one.called and not one.room) and "noqa: PLC0415" not in module.lines[one.line - 1]
    ]


def impure(modules: Iterable[Module]) -> list[str]:
    """Pure rooms that reach for time, chance, threads, processes or sockets; ``pki`` that reaches for the disk."""
    faults = []
    for module in modules:
        banned = (WORLD if module.room in PURE else frozenset()) | KEPT_OUT.get(module.room, frozenset())
        for one in imports(module):
            if one.target.split(".")[0] in banned:
                faults.append(f"{one.where}: {module.room} imports {one.target}")
        if module.room in PURE:
            faults += _clock_calls(module)
        if module.room == "pki":
            faults += [f"{module.at(call)}: pki opens a file" for call, name in calls(module) if name == "open"]
    return faults


def _clock_calls(module: Module) -> list[str]:
    return [
        f"{module.at(call)}: {module.room} reads the clock ({ast.unparse(call)})"
        for call, name in calls(module)
        if name.rpartition(".")[2] in CLOCK_CALLS and {"datetime", "date"} & set(name.split("."))
    ]
