"""What a command answers with: rows that any face can draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A line (or lines) for people. ``site`` says which site said it, "" for the server."""

    text: str
    site: str = ""


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Cells under a head; every row has as many cells as the head."""

    head: list[str]
    rows: list[list[Any]]


class Problem(msgspec.Struct, frozen=True, tag="problem"):
    """Something that went wrong for one site; the command goes on for the others."""

    error: str
    site: str = ""
    code: str = "RondoError"


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """Values for programs (``--format json``, the Python API); people see nothing of it."""

    values: dict[str, Any]


Row = Text | Table | Problem | Facts


def facts(rows: Iterable[Row]) -> dict[str, Any]:
    """All the values for programs among ``rows``; of a name that comes twice the later one."""
    return {key: value for row in rows if isinstance(row, Facts) for key, value in row.values.items()}


def figures(metrics: Mapping[str, float]) -> str:
    """``auc=0.9340 loss=0.2100``: a cell of a table."""
    return " ".join(f"{name}={value:.4f}" for name, value in sorted(metrics.items()))


def encode(row: Row) -> bytes:
    """The row as JSON."""
    return msgspec.json.encode(row)


def decode(data: bytes) -> Row:
    """Raises ``msgspec.DecodeError`` or ``msgspec.ValidationError``."""
    row: Row = msgspec.json.decode(data, type=Row)
    return row
