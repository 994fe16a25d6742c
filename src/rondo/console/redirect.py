"""``cmd >file`` writes what a command says to a file and shows it, ``cmd >>file`` adds it to the file and is silent."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rondo.base.errors import BadInput


@dataclass(frozen=True)
class Redirect:
    """``show``: on the screen too. ``add``: to what is in the file already."""

    path: str
    show: bool
    add: bool


def redirected(line: str) -> tuple[str, Redirect | None]:
    """``line`` without its redirection, and the redirection. What is quoted, or inside a word, redirects nothing.

    Raises ``BadInput`` for a second one, and for one without a file name right behind it.
    """
    found: list[tuple[int, int]] = []
    for start, end in _words(line):
        if line[start] == ">":
            found.append((start, end))
    if not found:
        return line, None
    if len(found) > 1:
        raise BadInput("syntax error: only one redirection", hint="cmd >file, or cmd >>file")
    ((start, end),) = found
    add = line.startswith(">>", start)
    name = _name(line[start + 1 + add : end])
    return f"{line[:start]} {line[end:]}".strip(), Redirect(name, show=not add, add=add)


def _words(line: str) -> list[tuple[int, int]]:
    """Where each word of the line begins and ends, quotes and all."""
    words: list[tuple[int, int]] = []
    start, quote, escaped = -1, "", False
    for at, letter in enumerate(line):
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter.isspace():
            if start >= 0:
                words.append((start, at))
            start = -1
            continue
        start = at if start < 0 else start
    return [*words, (start, len(line))] if start >= 0 else words


def _name(word: str) -> str:
    try:
        parts = shlex.split(word)
    except ValueError as error:
        raise BadInput(f"cannot read the line: {error}") from None
    if len(parts) != 1 or not parts[0] or parts[0].startswith(">"):
        raise BadInput("syntax error: no file name behind >", hint="no blank before it: cmd >file, or cmd >>file")
    return parts[0]
