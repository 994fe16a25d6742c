"""TOML from people we need not trust: bounded in bytes and in depth, errors with line and column."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.folder import read_bounded

MOST_BYTES = 1 << 20
MOST_KEY_PARTS = 16

# Strings and comments, each to its end or the text's: dots inside them are no key's. All loops are possessive, so
# both patterns take time in proportion to the text, whatever it holds.
_QUOTED = re.compile(
    r'"""(?:[^"\\]|\\(?:.|\Z)|"(?!""))*+(?:"{3,5}|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\(?:.|\Z))*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{MOST_KEY_PARTS}}}")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file of at most 1 MiB.

    Raises ``BadInput`` whose place is ``name:line:column``.
    """
    content = read_bounded(path, MOST_BYTES)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _at(path, content[: error.start].decode("utf-8"))
        raise BadInput("not UTF-8 text", where=where, hint="save the file as UTF-8") from None
    _refuse_long_keys(path, text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _explained(path, text, str(error)) from None
    except RecursionError:
        raise BadInput("nested too deeply", where=path.name) from None
    except ValueError as error:  # an integer of thousands of digits
        raise BadInput(str(error), where=path.name) from None


def _refuse_long_keys(path: Path, text: str) -> None:
    """A dotted key costs tomllib the square of its parts: 400 KB of ``a.a.a`` would take all memory."""
    bare = _QUOTED.sub(_blank, text)
    found = _LONG_KEY.search(bare)
    if found:
        place = f"{path.name}:{bare.count(chr(10), 0, found.start()) + 1}"
        raise BadInput(f"a key of more than {MOST_KEY_PARTS} parts", where=place)


def _blank(found: re.Match[str]) -> str:
    if found[0].startswith("#"):
        return ""
    return "s" + "\n" * found[0].count("\n")


def _explained(path: Path, text: str, message: str) -> BadInput:
    place = _PLACE.search(message)
    what = message[: place.start()] if place else message
    where = f"{path.name}:{place[1]}:{place[2]}" if place and place[1] else _at(path, text)
    return BadInput(what[:1].lower() + what[1:], where=where)


def _at(path: Path, before: str) -> str:
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    return f"{path.name}:{line}:{column}"
