"""Draws what a command answered, in Clara's shapes: ``instance:NAME : TEXT``, tables between rules, ``Done [...]``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from rondo.commands.rows import Problem, Row, Table, Text, facts


def as_text(row: Row) -> str:
    """A row for people; "" for what only programs want."""
    match row:
        case Text(text, site):
            return _printable(f"instance:{site} : {text}\n" if site else text)
        case Problem(error, site):
            return _printable(f"instance:{site} : Error: {error}\n" if site else f"Error: {error}")
        case Table(head, rows):
            return _table(head, rows)
    return ""


def _printable(text: str) -> str:
    """``text`` without what would drive a terminal: sites write it, and no site commands an admin's screen."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def as_json(rows: Sequence[Row], error: dict[str, Any] | None = None) -> str:
    """One JSON object for a whole command: its facts at the top, texts and problems beside them."""
    texts = [{"site": row.site, "text": row.text} for row in rows if isinstance(row, Text)]
    problems = [msgspec.to_builtins(row) for row in rows if isinstance(row, Problem)]
    answer = {**facts(rows), "texts": texts, "problems": problems, **({"error": error} if error else {})}
    return pretty(answer)


def pretty(value: Any) -> str:
    """``value`` as JSON that people can read, too."""
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def done(microseconds: int, at: datetime) -> str:
    return f"Done [{microseconds} usecs] {at:%Y-%m-%d %H:%M:%S.%f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[_printable(" ".join(str(cell).split())) for cell in row] for row in [[h.upper() for h in head], *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    rule = "-" * len(lines[0])
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])
