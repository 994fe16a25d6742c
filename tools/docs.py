"""Write the reference pages (docs/reference) from the code, or check that they are what the code gives.

python tools/docs.py            write
python tools/docs.py --check    exit 1, naming the pages that differ
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import typer

from rondo.base import errors, rooms

PAGES = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written from the code by tools/docs.py (`make docs`): change the code, not this page. -->"


# ---- pages ----------------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Admin commands: the modules of ``rondo.commands``."""
    seam = importlib.import_module("rondo.commands.seam")
    yield "# Admin commands"
    yield 'Typed in the admin console, or one at a time: `rondo admin KIT -c "COMMAND"`.'
    modules = [rooms.pick("rondo.commands", name, "run") for name in rooms.names("rondo.commands", "run")]
    rows = [[f"[`{_last(m)}`](#{_last(m)})", m.SCOPE, m.PERMISSION, first_line(m)] for m in modules]
    yield table(["command", "scope", "right", "what it does"], rows)
    for module in modules:
        yield f"## {_last(module)}"
        yield f"```text\n{seam.usage(module)}\n```"
        yield prose(module)
        yield prose(module.Options)
        yield f"Example: `{' '.join(filter(None, (_last(module), module.EXAMPLE)))}`."
        aliases = [f"`{name}`" for name in getattr(module, "ALIASES", ())]
        rights = " and ".join(f"`{action}`" for action in (module.PERMISSION, *getattr(module, "ALSO", ())))
        yield f"Right: {rights}." + (f" Also known as {', '.join(aliases)}." if aliases else "")


def command_line() -> Iterator[str]:
    """The command line: the tree of ``rondo.cli.main:app``."""
    app = importlib.import_module("rondo.cli.main").app
    yield "# Command line"
    yield "Exit codes are those of [the error tree](errors.md)."
    yield from _command("rondo", typer.main.get_command(app), 1)


def _command(path: str, command: Any, depth: int) -> Iterator[str]:
    """One command of the tree and what is below it. ``command``: a click command or group."""
    if depth > 1:
        yield f"{'#' * depth} {path}"
    if command.help:
        yield inspect.cleandoc(command.help).replace("\b", "").strip()
    shown = [param for param in command.params if param.name not in ("help", "install_completion", "show_completion")]
    if shown:
        yield table(["argument or option", "default", "meaning"], [_parameter(param) for param in shown])
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from _command(f"{path} {name}", child, depth + 1)


def _parameter(param: Any) -> list[str]:
    argument = param.param_type_name == "argument"
    name = (param.metavar or param.name.upper()) if argument else ", ".join(param.opts + param.secondary_opts)
    default = "" if param.default in (None, False, (), "") else f"`{param.default}`"
    choices = [f"`{choice}`" for choice in type(param.default)] if isinstance(param.default, enum.Enum) else []
    meaning = [getattr(param, "help", None) or "", f"One of {', '.join(choices)}." if choices else ""]
    return [f"`{name}`", "required" if param.required else default, " ".join(filter(None, meaning))]


def job() -> Iterator[str]:
    """``job.toml``: the structs of ``rondo.jobs``."""
    native = importlib.import_module("rondo.jobs.native")
    parts = importlib.import_module("rondo.jobs.parts")
    yield "# job.toml"
    yield prose(native)
    yield 'A key that is not listed here is refused, with the nearest one that is. `name = "my-job"` comes first.'
    for section, kind in native.SECTIONS.items():
        written = native._Client if section == "client" else kind  # as a person writes it, before it is spelled out
        yield f"## [{section}]"
        yield prose(kind)
        if written is not kind:
            yield prose(written)
        yield fields(written)
    yield "## Extensions by name"
    yield prose(parts.Choice)
    yield "Names and options: [extensions](extensions.md)."


ROOMS = ("aggregate", "filters", "codecs", "trainers", "blobs")


def extensions() -> Iterator[str]:
    """Everything that is chosen by name: the extension rooms."""
    yield "# Extensions"
    yield "Each is one module in the room of its kind; [CONTRIBUTING](../../CONTRIBUTING.md) shows how to add one."
    for room in ROOMS:
        yield f"## {room}"
        yield prose(importlib.import_module(f"rondo.{room}"))
        for name in rooms.names(f"rondo.{room}"):
            module = rooms.pick(f"rondo.{room}", name)
            yield f"### {name}"
            yield prose(module)
            if msgspec.structs.fields(module.Options):
                yield prose(module.Options)
                yield fields(module.Options)


def error_tree() -> Iterator[str]:
    """Errors and exit codes: ``rondo.base.errors``."""
    yield "# Errors and exit codes"
    yield prose(errors)
    codes: dict[int, list[str]] = {}
    for kind in _descendants(errors.RondoError):
        codes.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    yield table(["exit code", "errors"], [[str(code), ", ".join(names)] for code, names in sorted(codes.items())])


def _descendants(kind: type[errors.RondoError]) -> Iterator[type[errors.RondoError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _descendants(child)


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "commands.md": commands,
    "cli.md": command_line,
    "job.md": job,
    "extensions.md": extensions,
    "errors.md": error_tree,
}


# ---- from Python to Markdown -----------------------------------------------------------------------------------------


def prose(thing: object) -> str:
    """The docstring of a module or class as Markdown; drawings and other indented parts become code."""
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
        if block.startswith("    "):
            blocks.append(f"```text\n{inspect.cleandoc(block)}\n```")
        else:
            blocks.append(re.sub(r"``(.+?)``", r"`\1`", block))
    return "\n\n".join(blocks)


def first_line(thing: object) -> str:
    """The first sentence of a docstring, on one line."""
    sentence = re.split(r"(?<=[.:])\s", prose(thing).replace("\n", " "), maxsplit=1)[0]
    return sentence.rstrip(".:")


def fields(kind: type[msgspec.Struct]) -> str:
    """The fields of a struct: key, type and default."""
    hints = typing.get_type_hints(kind)
    rows = []
    for field in msgspec.structs.fields(kind):
        rows.append([f"`{field.encode_name}`", type_name(hints[field.name]), default(field)])
    return table(["key", "type", "default"], rows)


def default(field: Any) -> str:
    """The default of a struct's field as one would write it in TOML."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "" if value is None else f"`{toml(value)}`"


def toml(value: Any) -> str:
    """``value`` as TOML; an extension by name as its name where it has no options."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case msgspec.Struct():
            given = {key: item for key, item in msgspec.to_builtins(value).items() if item not in ({}, [], ())}
            return toml(given)
        case Mapping():
            return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }" if value else "{}"
        case list() | tuple():
            return f"[{', '.join(toml(item) for item in value)}]"
    return str(value)


_WORDS = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "anything"}


def type_name(kind: Any) -> str:
    """A type in words, for people who write TOML."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if origin is typing.Literal:
        return " or ".join(f"`{toml(word)}`" for word in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_name(one) for one in arguments if one is not type(None)))
    if origin in (list, tuple):
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return "table" if arguments[1] is Any else f"table of {type_name(arguments[1])}"
    return "extension" if getattr(kind, "__name__", "") == "Choice" else str(getattr(kind, "__name__", kind))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _last(module: types.ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def page(part: Callable[[], Iterator[str]]) -> str:
    """One page as text."""
    return "\n\n".join([NOTE, *(block for block in part() if block)]) + "\n"


def main(check: bool) -> int:
    """Write the pages, or compare them. Returns the exit code."""
    stale = []
    for name, part in PARTS.items():
        path, text = PAGES / name, page(part)
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            stale.append(name)
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stderr.write(f"{PAGES / name} is not what the code gives: run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
