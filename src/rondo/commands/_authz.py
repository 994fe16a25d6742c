"""What the questions about the authorization policy have in common."""

from __future__ import annotations

from collections.abc import Iterator

from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row


def answers(desk: Desk, question: str, *words: str) -> Iterator[Row]:
    """The answer as a table, and for programs as a list of objects. Raises ``Conflict`` where no policy is defined."""
    found = desk.house.authz(question, words)
    yield found
    keys = [head.lower() for head in found.head]
    yield Facts({"answers": [dict(zip(keys, row, strict=True)) for row in found.rows]})
