"""The chain of an audit log: one line an entry, and each line is bound to all before it by a hash.

    [E:<uuid>] [R:<uuid>] [T:<datetime>] [U:<user>] [A:<action>] [M:<message>] [H:<number>-<hash>]

Theory of operation. The line is Clara's (R, the event that it belongs to, and M may be missing) with one field more:
its number, counted from 1, and SHA-256 over the hash of the line before (64 zeros before the first), a newline, and
everything of this line up to and with the number. So a line that was changed does not fit its own hash, and where
lines were removed, put in or moved, numbers and hashes do not follow each other. Whoever can write the file can also
calculate a new chain from some line on: against that a ``Head`` is kept elsewhere, which says that the line of a
number has this hash. See docs/audit.md.

Values are made harmless before they are hashed: what is not printable, brackets and backslashes are written as
escapes (``\\x5b``), and all is cut to a length. So no value can end its field or its line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from rondo.base.errors import BadInput
from rondo.base.ids import new_id

LONGEST_USER = 160  # characters, escapes counted as they are written
LONGEST_ACTION = 100  # as in Clara
LONGEST_MESSAGE = 400
LONGEST_LINE = 4 * (LONGEST_USER + LONGEST_ACTION + LONGEST_MESSAGE) + 400  # bytes

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_EVENT = re.compile(_UUID)
_HEAD = re.compile(r"(0|[1-9][0-9]{0,14})-([0-9a-f]{64})")
_LINE = re.compile(
    rf"\[E:(?P<event>{_UUID})\](?: \[R:(?P<ref>{_UUID})\])? \[T:(?P<time>[0-9T:.-]{{23}}Z)\] \[U:(?P<user>[^\[\]]*)\]"
    rf" \[A:(?P<action>[^\[\]]*)\](?: \[M:(?P<message>[^\[\]]+)\])? \[H:(?P<head>[0-9]+-[0-9a-f]{{64}})\]"
)


@dataclass(frozen=True)
class Entry:
    """What happened: ``at`` in seconds since the epoch, of which a log keeps milliseconds. Made by ``entry``."""

    event: str
    at: float
    user: str
    action: str
    message: str = ""
    ref: str = ""


@dataclass(frozen=True)
class Head:
    """The end of a chain: how many entries there are, and the hash of the last one."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}-{self.hash}"

    @classmethod
    def of(cls, text: str) -> Head:
        """``NUMBER-HASH``, as ``str`` writes it. Raises ``BadInput``."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise BadInput(
                f"{text[:80]!r} is no head of an audit log", hint="NUMBER-HASH, as `rondo audit verify` prints"
            )
        return cls(int(found[1]), found[2])


START = Head(0, "0" * 64)


@dataclass(frozen=True)
class Link:
    """An entry in its place: its number and hash. ``body`` is its line up to and with its number: what is hashed."""

    entry: Entry
    head: Head
    body: str = field(compare=False)

    @property
    def line(self) -> str:
        """Without its newline."""
        return f"{self.body}-{self.head.hash}]"

    @classmethod
    def of(cls, told: Entry, head: Head) -> Link:
        return cls(told, head, _body(told, head.number))


def clean(text: str, most: int) -> str:
    """``text`` in at most ``most`` characters that are printable and can end neither a field nor a line."""
    text = text[:most]
    if not text.isprintable() or "[" in text or "]" in text or "\\" in text:
        text = "".join(char if _is_harmless(char) else _escape(char) for char in text)
        if len(text) > most:
            text = re.sub(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?$", "", text[:most])  # no half escape
    return text


def _is_harmless(char: str) -> bool:
    return char.isprintable() and char not in "[]\\"


def _escape(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def entry(at: float, user: str, action: str, message: str = "", *, ref: str = "", event: str = "") -> Entry:
    """A new entry, made harmless. ``ref`` is left out where it is no event's name; ``event`` is made where none is
    given (or none that could be one)."""
    return Entry(
        event=event if _EVENT.fullmatch(event) else new_id(),
        at=round(at, 3),
        user=clean(user, LONGEST_USER),
        action=clean(action, LONGEST_ACTION),
        message=clean(message, LONGEST_MESSAGE),
        ref=ref if _EVENT.fullmatch(ref) else "",
    )


def linked(head: Head, told: Entry) -> Link:
    """``told`` as the entry that follows ``head``."""
    number = head.number + 1
    body = _body(told, number)
    return Link(told, Head(number, _hash(head.hash, body)), body)


def read_line(raw: bytes) -> Link:
    """The entry of one line, without its newline. Raises ``BadInput``; says nothing of whether its hash is right."""
    try:
        line = raw.decode()
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError
        at = datetime.fromisoformat(found["time"].removesuffix("Z")).replace(tzinfo=UTC).timestamp()
        head = Head.of(found["head"])
    except (ValueError, BadInput):
        raise BadInput("this is no line of an audit log") from None
    told = Entry(found["event"], at, found["user"], found["action"], found["message"] or "", found["ref"] or "")
    return Link(told, head, line.rpartition("-")[0])


class Chain:
    """Follows a log line by line: what does not follow from the line before is a fault.

    ``head`` is where the chain stands; ``known`` False: what it began with is not known, so that the first line is
    believed.
    """

    def __init__(self, head: Head = START, *, known: bool = True) -> None:
        self.head = head
        self._known = known

    def take(self, raw: bytes) -> tuple[Link | None, str]:
        """The entry of the next line, None where it is no entry; and what is wrong, "" where nothing is."""
        try:
            link = read_line(raw)
        except BadInput as error:
            return None, error.what
        wrong = self._fault(link)
        if link.head.number > self.head.number:  # of two that were swapped the later one is gone on from
            self.head, self._known = link.head, True
        return link, wrong

    def _fault(self, link: Link) -> str:
        last, number = self.head.number, link.head.number
        if not self._known:
            return ""
        if number <= last:
            return f"entry {number} stands behind entry {last}: it was moved, or put in twice"
        if number > last + 1:
            missing = f"entry {last + 1} is" if number == last + 2 else f"entries {last + 1} to {number - 1} are"
            return f"{missing} missing before entry {number}"
        if _hash(self.head.hash, link.body) != link.head.hash:
            return f"entry {number} was changed, or is not the one that followed entry {last}"
        return ""


def _body(told: Entry, number: int) -> str:
    ref = f" [R:{told.ref}]" if told.ref else ""
    message = f" [M:{told.message}]" if told.message else ""
    return f"[E:{told.event}]{ref} [T:{_time(told.at)}] [U:{told.user}] [A:{told.action}]{message} [H:{number}"


def _time(at: float) -> str:
    second, part = divmod(round(at * 1000), 1000)
    return f"{_second(second)}.{part:03}Z"


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()[:19]


def _hash(before: str, body: str) -> str:
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()
