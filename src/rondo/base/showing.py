"""What is shown of a file: lines in pieces for a screen, never more than a site may answer, and never for long.

Every function gets a file open for reading in binary and gives texts. What is left out is said, in brackets.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from rondo.base.pattern import Pattern

MOST = 2**20  # bytes shown at once, as they travel; a server takes twice that from a site
PIECE = 2**16  # bytes of a text; a line that is longer is shown in parts
SEARCHED = 2**13  # bytes of a line that a pattern sees at once; of a longer line it sees part after part
PATIENCE = 4.0  # seconds of looking; the shortest timeout that people set for commands is longer
TOO_MUCH = "more was asked for than is shown at once"
BLOCK = 2**16  # bytes read at once, backwards

# A file's control characters must not drive a terminal, and as JSON each would be six bytes.
_HARMLESS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


@dataclass
class Bounds:
    """How much, and until when (``clock``: seconds); ``short``: something was left out for lack of time."""

    most: int = MOST
    clock: Callable[[], float] = time.monotonic
    short: bool = False
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = self.clock() + PATIENCE

    def over(self) -> bool:
        """Is the time over?"""
        self.short = self.short or self.clock() > self.until
        return self.short


def harmless(data: bytes) -> str:
    """The text of ``data``, as well as it is one, without what would drive a terminal."""
    return data.replace(b"\r\n", b"\n").decode(errors="replace").translate(_HARMLESS)


def _lines(file: BinaryIO, bounds: Bounds, longest: int = PIECE) -> Iterator[bytes]:
    """Lines as they stand, with their newline; what is longer than ``longest`` in parts."""
    while not bounds.over():
        line = file.readline(longest)
        if not line:
            return
        yield line


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _cost(text: str) -> int:
    return len(msgspec.json.encode(text))


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Lines, each with its newline, joined to texts of about ``PIECE`` bytes that end without one."""
    piece, cost = list[str](), 0
    for line in lines:
        price = _cost(line)
        if piece and cost + price > PIECE:
            yield "".join(piece).removesuffix("\n")
            piece, cost = [], 0
        piece.append(line)
        cost += price
    if piece:
        yield "".join(piece).removesuffix("\n")


def _parts(text: str) -> Iterator[str]:
    """Its lines; what is longer than ``PIECE`` letters in parts."""
    for line in text.splitlines(keepends=True):
        for begin in range(0, len(line), PIECE):
            yield line[begin : begin + PIECE]


def texts(lines: Iterable[str], bounds: Bounds, what: Callable[[], str]) -> list[str]:
    """Lines (each with its newline) joined to texts, until there are enough; then ``what`` is said of the rest."""
    left, cut = bounds.most, False

    def enough() -> Iterator[str]:
        nonlocal left, cut
        for line in lines:
            left -= _cost(line)
            if left < 0:
                cut = True
                return
            yield line

    pieces = list(_pieces(enough()))
    return [*pieces, f"(cut: {what()})"] if cut or bounds.short else pieces


def cat(
    file: BinaryIO,
    *,
    number: bool = False,
    number_filled: bool = False,
    squeeze: bool = False,
    tabs: bool = False,
    bounds: Bounds | None = None,
) -> list[str]:
    """The file from its beginning. ``number``: lines, or only ``number_filled`` ones; ``squeeze``: of several empty
    lines one; ``tabs`` as ``^I``."""
    bounds = bounds or Bounds()

    def lines() -> Iterator[str]:
        count, begins, empty = 0, True, 0
        for line in _lines(file, bounds):
            blank = begins and line in (b"\n", b"\r\n")
            empty = empty + 1 if blank else 0
            if squeeze and empty > 1:
                continue
            text = harmless(line).replace("\t", "^I") if tabs else harmless(line)
            if begins and (not blank if number_filled else number):
                count += 1
                text = f"{count:6}\t{text}"
            begins = line.endswith(b"\n")
            yield text

    return texts(lines(), bounds, lambda: f"the file has {_size(file)} bytes; head, tail and grep show parts of it")


def head(file: BinaryIO, lines: int, count: int | None = None, *, bounds: Bounds | None = None) -> list[str]:
    """The first ``lines`` lines, or ``count`` bytes."""
    bounds = bounds or Bounds()

    def first() -> Iterator[str]:
        left, seen = count, 0
        for line in _lines(file, bounds):
            if left == 0 or (left is None and seen >= lines):
                return
            part = line if left is None else line[:left]
            left = None if left is None else left - len(part)
            seen += line.endswith(b"\n")
            yield harmless(part)

    return texts(first(), bounds, lambda: TOO_MUCH)


def tail(
    file: BinaryIO, lines: int, count: int | None = None, *, end: int | None = None, most: int = MOST
) -> list[str]:
    """The last ``lines`` lines, or ``count`` bytes, before byte ``end``; of what is too much the last part."""
    size = _size(file) if end is None else end
    wanted = max(size - count, 0) if count is not None else _begin(file, size, lines, most)
    begin = max(wanted, size - most)
    shown, cut = harmless(os.pread(file.fileno(), size - begin, begin)), begin > wanted
    while _cost(shown) > most:
        shown, cut = shown[len(shown) // 8 + 1 :], True
    if cut:
        shown = shown[shown.find("\n") + 1 :]
    pieces = list(_pieces(_parts(shown)))
    return [f"(cut: {TOO_MUCH})", *pieces] if cut else pieces


def _begin(file: BinaryIO, size: int, lines: int, most: int, block_size: int = BLOCK) -> int:
    """Where the last ``lines`` lines before byte ``size`` begin, or something more than ``most`` bytes before it.

    Blocks of ``block_size`` bytes are read, backwards.
    """
    if lines <= 0:
        return size
    at, missing = size, lines + 1
    while at > 0 and size - at <= most:
        block_begin = max(at - block_size, 0)
        block = os.pread(file.fileno(), at - block_begin, block_begin)
        if at == size and not block.endswith(b"\n"):
            missing -= 1
        ends = block.count(b"\n")
        if ends >= missing:
            place = len(block)
            for _ in range(missing):
                place = block.rindex(b"\n", 0, place)
            return block_begin + place + 1
        missing -= ends
        at = block_begin
    return at


def whole(file: BinaryIO) -> int:
    """The end of the last line that is whole; of the file, where a line is longer than ``PIECE`` bytes."""
    size = _size(file)
    begin = max(size - PIECE, 0)
    newline = os.pread(file.fileno(), size - begin, begin).rfind(b"\n")
    return begin + newline + 1 if newline >= 0 or begin == 0 else size


def news(file: BinaryIO, place: int, *, most: int = MOST // 4) -> tuple[list[str], int]:
    """What was written from byte ``place`` on, as far as lines are whole, and where to go on.

    What is as long as ``most`` is shown though no line ends there.
    """
    data = os.pread(file.fileno(), most, place)
    end = data.rfind(b"\n") + 1 or (len(data) if len(data) == most else 0)
    return list(_pieces(_parts(harmless(data[:end])))), place + end


def grep(
    file: BinaryIO, pattern: Pattern, *, number: bool = False, offset: bool = False, bounds: Bounds | None = None
) -> list[str]:
    """The lines in which the pattern is. ``number``: with the line's number; ``offset``: with its first byte's."""
    bounds = bounds or Bounds()
    at = 0

    def found() -> Iterator[str]:
        nonlocal at
        count = 1
        for line in _lines(file, bounds, SEARCHED):
            text = harmless(line).removesuffix("\n")
            if pattern.found_in(text):
                yield (f"{count}:" if number else "") + (f"{at}:" if offset else "") + text + "\n"
            at += len(line)
            count += line.endswith(b"\n")

    return texts(found(), bounds, lambda: f"searched {at} of {_size(file)} bytes")
