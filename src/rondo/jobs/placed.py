"""JSON in which every value knows where it stands, so that whoever wrote it is told file, line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.folder import read_bounded

MOST_BYTES = 4 << 20
MOST_DEPTH = 64

_SPACE = re.compile(r"[ \t\n\r]*+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][-+]?[0-9]++)?")
_LONGEST_NUMBER = 400
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Place:
    """``config/config_train.json:12:7``; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Placed:
    """A JSON value: ``value`` is a dict or list of ``Placed``, a string, number, bool or None."""

    value: Any
    place: Place

    def plain(self) -> Any:
        """The value without places."""
        match self.value:
            case dict() as table:
                return {key: item.plain() for key, item in table.items()}
            case list() as items:
                return [item.plain() for item in items]
        return self.value

    def get(self, key: str) -> Placed | None:
        """The value under ``key``, where this is a table that has it."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    @property
    def table(self) -> Mapping[str, Placed]:
        """This as a table. Raises ``BadInput`` where it is none."""
        if not isinstance(self.value, dict):
            raise BadInput(f"expected {{...}}, got {kind(self.value)}", where=str(self.place))
        return self.value

    @property
    def items(self) -> list[Placed]:
        """This as a list. Raises ``BadInput`` where it is none."""
        if not isinstance(self.value, list):
            raise BadInput(f"expected [...], got {kind(self.value)}", where=str(self.place))
        return self.value


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case dict():
            return "{...}"
        case list():
            return "[...]"
    return "null"


@dataclass
class Document:
    """A file: its ``root``, and the ``repeated`` keys (of which the last counts, as in Python's own reader)."""

    root: Placed
    repeated: list[tuple[str, Place]] = field(default_factory=list)


def read_placed(path: Path, name: str, most: int = MOST_BYTES) -> Document:
    """The JSON file ``path`` of at most ``most`` bytes, called ``name`` in places.

    Raises ``BadInput`` at line and column for what is no JSON (RFC 8259; a byte order mark is passed over).
    """
    content = read_bounded(path, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput("not UTF-8 text", where=f"{name}:{line}", hint="save the file as UTF-8") from None
    return _Scan(text, name).document()


class _Scan:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._repeated: list[tuple[str, Place]] = []

    def document(self) -> Document:
        root, end = self._value(self._space(0), 0)
        end = self._space(end)
        if end != len(self._text):
            raise self._wrong(end, "there is more after the end of the JSON")
        return Document(root, self._repeated)

    def _value(self, at: int, depth: int) -> tuple[Placed, int]:
        if depth > MOST_DEPTH:
            raise self._wrong(at, f"nested more than {MOST_DEPTH} deep")
        place = self._place(at)
        match self._text[at : at + 1]:
            case "{":
                table, end = self._table(at, depth)
                return Placed(table, place), end
            case "[":
                items, end = self._list(at, depth)
                return Placed(items, place), end
            case '"':
                text, end = self._string(at)
                return Placed(text, place), end
        value, end = self._scalar(at)
        return Placed(value, place), end

    def _table(self, at: int, depth: int) -> tuple[dict[str, Placed], int]:
        table: dict[str, Placed] = {}
        end, more = self._space(at + 1), True
        if self._text.startswith("}", end):
            return table, end + 1
        while more:
            start = end
            key, end = self._string(end) if self._text.startswith('"', end) else self._no_key(end)
            end = self._space(end)
            if not self._text.startswith(":", end):
                raise self._wrong(end, f"expected ':' after the key {key!r}")
            value, end = self._value(self._space(end + 1), depth + 1)
            if key in table:
                self._repeated.append((key, self._place(start)))
            table[key] = value
            end, more = self._after(end, "}")
        return table, end

    def _list(self, at: int, depth: int) -> tuple[list[Placed], int]:
        items: list[Placed] = []
        end, more = self._space(at + 1), True
        if self._text.startswith("]", end):
            return items, end + 1
        while more:
            item, end = self._value(end, depth + 1)
            items.append(item)
            end, more = self._after(end, "]")
        return items, end

    def _after(self, at: int, closing: str) -> tuple[int, bool]:
        """Where to go on after one member, and whether there is another one."""
        at = self._space(at)
        match self._text[at : at + 1]:
            case ",":
                following = self._space(at + 1)
                if self._text.startswith(closing, following):
                    raise self._wrong(at, f"a comma before {closing!r}")
                return following, True
            case char if char == closing:
                return at + 1, False
        raise self._wrong(at, f"expected ',' or {closing!r}")

    def _no_key(self, at: int) -> tuple[str, int]:
        raise self._wrong(at, "expected a key in double quotes")

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = scanstring(self._text, at + 1, True)
        except JSONDecodeError as error:
            raise self._wrong(error.pos, error.msg.removesuffix(" at").lower()) from None
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise self._wrong(at, "half of a surrogate pair")
        return text, end

    def _scalar(self, at: int) -> tuple[Any, int]:
        for word, value in _WORDS.items():
            if self._text.startswith(word, at):
                return value, at + len(word)
        found = _NUMBER.match(self._text, at)
        if found is None:
            raise self._wrong(at, "the file ends too soon" if at >= len(self._text) else "expected a value")
        if len(found[0]) > _LONGEST_NUMBER:
            raise self._wrong(at, "a number of absurd length")
        number = float(found[0]) if found[1] or found[2] else int(found[0])
        if number in (float("inf"), float("-inf")):
            raise self._wrong(at, "a number too large")
        return number, found.end()

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _place(self, at: int) -> Place:
        line = bisect_right(self._lines, at)
        return Place(self._name, line, at - self._lines[line - 1] + 1)

    def _wrong(self, at: int, what: str) -> BadInput:
        return BadInput(what, where=str(self._place(at)), hint="the file must be JSON")
