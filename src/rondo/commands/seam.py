"""What commands may touch (the desk), and how a typed line becomes their options."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, Protocol

import msgspec

from rondo.base import rooms
from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options, nearest
from rondo.commands.rows import Row

ROOM = "rondo.commands"

RunId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # as the ledger counts


@dataclass(frozen=True)
class ClientLine:
    """One logged-in client as ``check_status`` shows it."""

    instance: str
    kit: str  # name of the start-up kit it runs from
    session: str
    state: str  # here, away
    status: str  # training not started, training starting, ...
    waiting_for: str
    last_round: int | None
    contributions: int


@dataclass(frozen=True)
class RunLine:
    """A run as it stands. ``error``: the first failure, once it failed. Times: seconds since the epoch."""

    id: int
    number: int
    name: str
    state: str
    round: int | None
    start_round: int
    num_rounds: int
    min_clients: int
    max_clients: int
    submitted_now: int
    by: str
    best_version: int | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class WaitingLine:
    """What a run waits for: whom, why, since when (seconds since the epoch), and what happens then."""

    clients: tuple[str, ...]
    why: str
    since: float
    then: str


class Desk(Protocol):
    """What commands may touch. Every method raises errors of ``rondo.base.errors``."""

    user: str

    async def clients(self) -> list[ClientLine]: ...
    async def run_number(self) -> int | None: ...
    async def set_run_number(self, number: int) -> bool:
        """True where the number was used before."""

    async def current_run(self) -> RunLine | None: ...
    async def run(self, run: int) -> RunLine: ...
    async def runs(self) -> list[RunLine]: ...
    async def waiting(self) -> WaitingLine | None: ...
    async def deploy_server(self, folder: str) -> None: ...
    async def deploy_client(self, folder: str, client: str) -> str: ...
    async def start_server(self) -> int: ...
    async def start_client(self, client: str) -> str: ...
    async def abort_client(self, client: str) -> str: ...
    async def abort_run(self, run: int | None) -> int: ...
    async def shut_down(self, target: str) -> str: ...
    async def submit(self, folder: str) -> int: ...
    async def staged(self, folder: str) -> str:
        """Where the staged folder lies, for people."""

    async def models(self, run: int) -> list[Mapping[str, Any]]: ...
    async def metrics(self, run: int) -> list[Mapping[str, Any]]: ...


class Target(Options, frozen=True):
    """``server``, or ``client`` with names (none: all clients)."""

    target: str
    names: tuple[str, ...] = ()


class Aimed(Protocol):
    """Options that have a target."""

    @property
    def target(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...


class Command(Protocol):
    """The shape of a command module."""

    PERMISSION: str
    Options: type[Options]

    def run(self, desk: Desk, options: Any) -> AsyncIterator[Row]: ...


def find(name: str) -> ModuleType:
    """The command ``name`` (or an alias of it). Raises ``NotFound`` as Clara's console says it."""
    listed = {entry: rooms.pick(ROOM, entry, "run") for entry in rooms.names(ROOM, "run")}
    for module_name, module in listed.items():
        if name == module_name or name in getattr(module, "ALIASES", ()):
            return module
    raise NotFound(f"Undefined server command {name}", hint=nearest(name, listed))


def split(line: str) -> list[str]:
    """The words of a typed line. Raises ``BadInput`` for an open quote."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise BadInput(f"cannot read the line: {error}", where=line[:100]) from None


def parse(module: ModuleType, args: Sequence[str]) -> Options:
    """Arguments in the order of the options' fields; a list field takes all that is left."""
    values: dict[str, Any] = {}
    left = list(args)
    name = module.__name__.rsplit(".", 1)[-1]
    for field in msgspec.structs.fields(module.Options):
        if "tuple" in str(field.type):
            values[field.encode_name], left = left, []
        elif left:
            values[field.encode_name] = left.pop(0)
        elif field.required:
            missing = f"syntax error: missing {field.encode_name.replace('_', ' ')}"
            what = "missing target type (server or client)" if field.encode_name == "target" else missing
            raise BadInput(what, hint=f"usage: {usage(module)}")
    if left:
        raise BadInput(f"syntax error: too many arguments: {' '.join(left)}", hint=f"usage: {usage(module)}")
    try:
        parsed: Options = msgspec.convert(values, module.Options, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"syntax error: {error}", where=name, hint=f"usage: {usage(module)}") from None
    return parsed


def folder_name(path: str) -> str:
    """What the folder at ``path`` is called in the staging area: its last part."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def usage(module: ModuleType) -> str:
    """``name ARGUMENT [OPTIONAL] REST...``"""
    words = [module.__name__.rsplit(".", 1)[-1]]
    for field in msgspec.structs.fields(module.Options):
        word = field.encode_name.upper() + ("..." if "tuple" in str(field.type) else "")
        words.append(word if field.required else f"[{word}]")
    return " ".join(words)


async def choose(desk: Desk, options: Aimed) -> list[str]:
    """The instances that ``client [NAME...]`` means. Raises the errors of spec 7.1."""
    present = [line.instance for line in await desk.clients()]
    unknown = [name for name in options.names if name not in present]
    if unknown:
        raise NotFound(f"invalid client(s): {' '.join(unknown)}", hint=nearest(unknown[0], present))
    if not present:
        raise NotFound("no clients available")
    return list(dict.fromkeys(options.names)) or present


def is_server(options: Aimed) -> bool:
    """Whether the server is meant. Raises ``BadInput`` for a target that is neither server nor client."""
    if options.target not in ("server", "client"):
        raise BadInput(f"unknown target type {options.target}", hint="server, or client [NAME...]")
    return options.target == "server"
