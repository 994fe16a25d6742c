"""How a typed line becomes a command with its options, and which sites it means."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import structs

from rondo.base import rooms
from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options, nearest
from rondo.commands.desk import Desk
from rondo.commands.rows import Row

ROOM = "rondo.commands"

RunId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # as the ledger counts

SCOPES = ("sys", "training", "utils", "validation", "authz", "file_transfer", "runs")  # Clara's, and one of ours
MOST_WORDS, MOST_LETTERS = 10_000, 1 << 18  # of one command: the names of thousands of clients
SERVER = "server"  # the server among the sites


class Target(Options, frozen=True):
    """``server``, ``client`` with names (none: all clients), or ``all``: the server and all clients."""

    target: str
    names: tuple[str, ...] = ()


class NoArguments(Options, frozen=True):
    """No arguments."""


class OneSite(Options, frozen=True):
    """``server``, or the instance name of one client."""

    target: str


class Aimed(Protocol):
    """Options that have a target."""

    @property
    def target(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...


class Command(Protocol):
    """The shape of a command module.

    What else it may have: ``ALIASES``, ``ALSO`` (further actions that it needs the right to), ``CONFIRM`` (a face asks
    before it sends this), ``SENDS`` (the argument that names a folder which is sent first), ``WITH_CLIENTS`` (what it
    does to the server it does to every client too), and ``at_site(site, options)``: what happens at a site, see
    ``Desk.visit``.
    """

    PERMISSION: str  # an action of rondo.policy.actions
    SCOPE: str  # one of SCOPES
    EXAMPLE: str  # its arguments, as somebody types them
    Options: type[Options]

    def run(self, desk: Desk, options: Any) -> AsyncIterator[Row]: ...


@cache
def listed() -> Mapping[str, ModuleType]:
    """Every command by its name. The room is looked at once: a look costs more than most commands do."""
    return {name: rooms.pick(ROOM, name, "run") for name in rooms.names(ROOM, "run")}


def find(name: str) -> ModuleType:
    """The command ``name`` (or an alias of it). Raises ``NotFound`` as Clara's console says it."""
    for module_name, module in listed().items():
        if name == module_name or name in getattr(module, "ALIASES", ()):
            return module
    name = name[:100]
    raise NotFound(f"Undefined server command {name}", hint=nearest(name, listed()))


def split(line: str) -> list[str]:
    """The words of a typed line. Raises ``BadInput`` for an open quote."""
    if len(line) > MOST_LETTERS:
        raise BadInput(f"a line of more than {MOST_LETTERS} letters")
    try:
        return shlex.split(line)
    except ValueError as error:
        raise BadInput(f"cannot read the line: {error}", where=line[:100]) from None


def parse(module: ModuleType, args: Sequence[str]) -> Options:
    """Words in the order of the options' fields; a list takes all that is left, a flag (``-n``) comes anywhere.

    Raises ``BadInput``.
    """
    if len(args) > MOST_WORDS or sum(map(len, args)) > MOST_LETTERS:
        raise BadInput(f"more than {MOST_WORDS} words, or {MOST_LETTERS} letters", hint=f"usage: {usage(module)}")
    fields = structs.fields(module.Options)
    flags = {field.encode_name: field.type is bool for field in fields if field.encode_name.startswith("-")}
    try:
        values, left = _flags(flags, list(args))
        _positional([field for field in fields if field.encode_name not in flags], left, values)
        parsed: Options = msgspec.convert(values, module.Options, strict=False)
    except BadInput as error:
        raise BadInput(error.what, hint=f"usage: {usage(module)}") from None
    except msgspec.ValidationError as error:
        raise BadInput(f"syntax error: {error}", where=_name(module), hint=f"usage: {usage(module)}") from None
    return parsed


def _flags(flags: Mapping[str, bool], args: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of the flags among ``args``, and the other words. ``flags``: whether each stands alone."""
    values: dict[str, Any] = {}
    others: list[str] = []
    left = iter(args if flags else ())
    for word in left:
        letters = [f"-{letter}" for letter in word[1:]]
        if word == "--":
            break
        if word in flags and not flags[word]:
            value = next(left, None)
            if value is None:
                raise BadInput(f"syntax error: {word} needs a value")
            values[word] = value
        elif word in flags:
            values[word] = True
        elif word.startswith("-") and letters and all(flags.get(letter) for letter in letters):
            values |= dict.fromkeys(letters, True)
        elif word.startswith("-") and letters:
            raise BadInput(f"syntax error: unknown option {word}")
        else:
            others.append(word)
    return values, others + (list(left) if flags else args)


def _positional(fields: Sequence[Any], left: list[str], values: dict[str, Any]) -> None:
    for field in fields:
        if "tuple" in str(field.type) and (left or not field.required):
            values[field.encode_name], left = left, []
        elif left:
            values[field.encode_name] = left.pop(0)
        elif field.required:
            missing = f"syntax error: missing {field.encode_name.replace('_', ' ')}"
            raise BadInput("missing target type (server or client)" if field.encode_name == "target" else missing)
    if left:
        raise BadInput(f"syntax error: too many arguments: {' '.join(left)}")


def _name(module: ModuleType) -> str:
    return module.__name__.rsplit(".", 1)[-1]


def pack(options: Options) -> str:
    """Options as they travel to a site."""
    return msgspec.json.encode(options).decode()


def unpack(module: ModuleType, packed: str) -> Options:
    """Raises ``BadInput`` for what are no options of this command."""
    try:
        options: Options = msgspec.json.decode(packed, type=module.Options)
    except msgspec.MsgspecError as error:
        raise BadInput(f"options that cannot be read: {error}", where=_name(module)) from None
    return options


def folder_name(path: str) -> str:
    """What the folder at ``path`` is called in the staging area: its last part."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def usage(module: ModuleType) -> str:
    """``name ARGUMENT [OPTIONAL] [-f] [-n NUMBER] REST...``"""
    words = [_name(module)]
    for field in structs.fields(module.Options):
        word = field.name.upper() + ("..." if "tuple" in str(field.type) else "")
        if field.encode_name.startswith("-"):
            word = field.encode_name if field.type is bool else f"{field.encode_name} {word}"
        words.append(word if field.required else f"[{word}]")
    return " ".join(words)


async def choose(desk: Desk, names: Sequence[str]) -> list[str]:
    """The instances that ``client [NAME...]`` means. Raises the errors of spec 7.1."""
    present = list(await desk.clients.kits())
    here = set(present)
    unknown = [name for name in names if name not in here]
    if unknown:
        raise NotFound(f"invalid client(s): {' '.join(unknown)}", hint=nearest(unknown[0][:100], present))
    if not present:
        raise NotFound("no clients available")
    return list(dict.fromkeys(names)) or present


async def meant(desk: Desk, options: Aimed) -> list[str]:
    """The sites that a target means: the server as ``server``, clients by instance.

    Raises ``BadInput`` for a target that is none, and what ``choose`` raises.
    """
    if options.target not in (SERVER, "client", "all"):
        raise BadInput(f"unknown target type {options.target}", hint="server, client [NAME...], or all")
    if options.target == SERVER:
        if options.names:
            raise BadInput(f"syntax error: too many arguments: {' '.join(options.names)}", hint="there is one server")
        return [SERVER]
    if options.target == "client":
        return await choose(desk, options.names)
    present = list(await desk.clients.kits())
    return [SERVER, *(await choose(desk, options.names) if options.names else present)]


async def reached(desk: Desk, module: ModuleType, options: Options) -> tuple[Options, list[str]]:
    """The sites that a command reaches, and its options with them spelled out.

    A command with neither target nor names is for the server. Raises what ``meant`` raises.
    """
    target, names = getattr(options, "target", None), getattr(options, "names", None)
    if names and target is None:
        return options, await choose(desk, names)
    if target == SERVER and getattr(module, "WITH_CLIENTS", False):
        options, target = structs.replace(options, target="all"), "all"
    if target is None or target == SERVER:
        return options, [SERVER]
    if names is None:
        return options, await choose(desk, [target])
    sites = await meant(desk, options)  # type: ignore[arg-type]
    clients = tuple(site for site in sites if site != SERVER)
    spelled = {"names": clients} if clients else {"target": SERVER}
    return structs.replace(options, **spelled), sites
