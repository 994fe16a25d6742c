"""Patterns that strangers type: regular expressions whose search never takes longer than the line is long.

Python's ``re`` goes back and tries again: ``(a+)+$`` on forty letters does not end in this life, holds the
interpreter's lock, and with it the whole program. Here a pattern becomes the automaton of Thompson (Communications of
the ACM 11(6), 1968), which goes over a line once; sets of its states are made when they are met and kept. So there are
no back references, no looking around, no ``\\b``; whatever else it understands means what it means in ``re``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from rondo.base.errors import BadInput

LONGEST = 200  # letters of a pattern
MOST_STEPS = 300  # of an automaton: what one letter of a line may cost
MOST_ATOMS = 2_000  # read, each as often as it is repeated: also those that need no step
MOST_TIMES = 100  # in {m,n}
MOST_KEPT = 20_000  # transitions; then they are made anew

_CLASSES = {"d": r"\d", "w": r"\w", "s": r"\s", "D": r"\D", "W": r"\W", "S": r"\S"}
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class _One:
    """A letter that a class of ``re`` (one letter long, so there is nothing to go back for) takes."""

    takes: re.Pattern[str]


@dataclass(frozen=True)
class _Edge:
    """``^`` or ``$``."""

    end: bool


@dataclass
class _Split:
    """Go on at each of ``to``."""

    to: list[int]


@dataclass(frozen=True)
class _Found:
    """The pattern ends here."""


@dataclass
class _Place:
    """A set of steps. ``found``: the pattern has ended; ``at_end``: it has where the line ends here."""

    steps: frozenset[int]
    found: bool
    at_end: bool
    then: dict[str, _Place] = field(default_factory=dict)


class Pattern:
    """A compiled pattern. Raises ``BadInput`` for what it does not understand, and what would cost too much."""

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        if len(text) > LONGEST:
            raise BadInput(f"a pattern of {len(text)} letters", hint=f"at most {LONGEST}")
        self._steps: list[_One | _Edge | _Split | _Found] = []
        self._kept: dict[frozenset[int], _Place] = {}
        self._transitions = 0
        _Reading(text, self._steps, re.IGNORECASE if ignore_case else re.NOFLAG).all()
        self._begin = self._place([0], at_start=True)

    def found_in(self, line: str) -> bool:
        """Is it somewhere in ``line`` (without its newline)?"""
        place = self._begin
        for letter in line:
            if place.found:
                return True
            place = place.then.get(letter) or self._next(place, letter)
        return place.found or place.at_end

    def _next(self, place: _Place, letter: str) -> _Place:
        if self._transitions >= MOST_KEPT:
            for one in (self._begin, *self._kept.values()):
                one.then.clear()
            self._kept.clear()
            self._transitions = 0
        self._transitions += 1
        steps = self._steps
        after = [at + 1 for at in place.steps if isinstance(step := steps[at], _One) and step.takes.match(letter)]
        found = place.then[letter] = self._place([0, *after])
        return found

    def _place(self, steps: Iterable[int], *, at_start: bool = False) -> _Place:
        reached = self._reach(steps, at_start=at_start, at_end=False)
        if not at_start and reached in self._kept:
            return self._kept[reached]
        ends = self._reach(reached, at_start=at_start, at_end=True)
        found, at_end = (any(isinstance(self._steps[step], _Found) for step in some) for some in (reached, ends))
        made = _Place(reached, found, at_end)
        if not at_start:
            self._kept[reached] = made
        return made

    def _reach(self, steps: Iterable[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """Where ``steps`` lead without a letter; what waits for the line's end stays, in case it comes."""
        reached: set[int] = set()
        todo = list(steps)
        while todo:
            step = todo.pop()
            if step in reached:
                continue
            reached.add(step)
            match self._steps[step]:
                case _Split(to):
                    todo += to
                case _Edge(end) if at_end if end else at_start:
                    todo.append(step + 1)
        return frozenset(reached)


class _Reading:
    """From the text of a pattern to its steps: an alternative of sequences of repeated atoms, from left to right."""

    def __init__(self, text: str, steps: list[_One | _Edge | _Split | _Found], flags: re.RegexFlag) -> None:
        self._text = text
        self._at = 0
        self._steps = steps
        self._flags = flags
        self._deep = 0
        self._atoms = 0

    def all(self) -> None:
        self._alternative()
        if self._at < len(self._text):
            raise self._wrong("a ) that closes nothing")
        self._add(_Found())

    def _wrong(self, what: str) -> BadInput:
        return BadInput(
            f"pattern: {what}, at letter {min(self._at + 1, len(self._text))}", hint="grep's help says more"
        )

    def _add(self, step: _One | _Edge | _Split | _Found) -> None:
        if len(self._steps) >= MOST_STEPS:
            raise BadInput("the pattern is too large", hint=f"it would have more than {MOST_STEPS} steps")
        self._steps.append(step)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._peek()
        self._at += 1
        return letter

    def _insert(self, at: int, step: _Split) -> None:
        """Before what has been written from ``at`` on."""
        self._add(step)
        self._steps.insert(at, self._steps.pop())
        for one in self._steps[at + 1 :]:
            if isinstance(one, _Split):
                one.to = [target + (target >= at) for target in one.to]

    def _alternative(self) -> None:
        begins, jumps = len(self._steps), list[_Split]()
        self._sequence()
        while self._peek() == "|":
            self._take()
            jump = _Split([])
            self._add(jump)
            jumps.append(jump)
            self._insert(begins, _Split([begins + 1, len(self._steps) + 1]))
            begins = len(self._steps)
            self._sequence()
        for jump in jumps:
            jump.to = [len(self._steps)]

    def _sequence(self) -> None:
        while self._peek() not in ("", "|", ")"):
            self._repeated()

    def _repeated(self) -> None:
        begins, text_begins = len(self._steps), self._at
        self._atom()
        text_ends = self._at
        least, most = self._times()
        if (least, most) == (1, 1):
            return
        after = self._at
        del self._steps[begins:]
        for _ in range(least):
            self._again(text_begins, text_ends)
        if most is None:
            begins = len(self._steps)
            self._again(text_begins, text_ends)
            self._insert(begins, _Split([begins + 1, len(self._steps) + 2]))
            self._add(_Split([begins]))
        else:
            skips = []
            for _ in range(most - least):
                skips.append(_Split([len(self._steps) + 1]))
                self._add(skips[-1])
                self._again(text_begins, text_ends)
            for skip in skips:
                skip.to.append(len(self._steps))
        self._at = after

    def _again(self, begins: int, ends: int) -> None:
        """Read the atom between these places once more: each of its repetitions has steps of its own."""
        self._at = begins
        self._atom()
        assert self._at == ends

    def _times(self) -> tuple[int, int | None]:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        counted = re.compile(r"\{(\d{0,3})(,?)(\d{0,3})\}").match(self._text, self._at)
        if self._peek() in simple:
            least, most = simple[self._take()]
        elif counted and counted[0] not in ("{}", "{,}"):
            self._at = counted.end()
            least = int(counted[1] or 0)
            most = least if not counted[2] else int(counted[3]) if counted[3] else None
        else:
            return 1, 1
        if max(least, most or 0) > MOST_TIMES or (most is not None and most < least):
            raise self._wrong(f"a repetition that cannot be (at most {MOST_TIMES} times)")
        if self._peek() == "?":  # as few as possible: whether it is there does not depend on it
            self._take()
        if self._peek() in simple or re.compile(r"\{\d*,?\d*\}").match(self._text, self._at):
            raise self._wrong("a repetition of a repetition: put the first in brackets")
        return least, most

    def _atom(self) -> None:
        self._atoms += 1
        if self._atoms > MOST_ATOMS:
            raise BadInput("the pattern is too large", hint="fewer repetitions in repetitions")
        match letter := self._take():
            case "(":
                self._group()
            case "[":
                self._set()
            case ".":
                self._one(r"[^\n]")
            case "^" | "$":
                self._add(_Edge(letter == "$"))
            case "\\":
                self._escaped()
            case "*" | "+" | "?":
                self._at -= 1
                raise self._wrong(f"{letter} repeats nothing")
            case _:
                self._one(re.escape(letter))

    def _one(self, takes: str) -> None:
        self._add(_One(re.compile(takes, self._flags)))

    def _group(self) -> None:
        self._deep += 1
        if self._deep > 30:
            raise self._wrong("brackets too deep in brackets")
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._wrong("(? is not known")
            self._at += 2
        self._alternative()
        if self._take() != ")":
            raise self._wrong("a ( that is not closed")
        self._deep -= 1

    def _escaped(self) -> None:
        letter = self._take()
        if letter in _CLASSES and letter:
            self._one(_CLASSES[letter])
        elif letter in _LETTERS and letter:
            self._one(re.escape(_LETTERS[letter]))
        elif letter and not letter.isalnum():
            self._one(re.escape(letter))
        else:
            raise self._wrong(f"\\{letter} is not known")

    def _set(self) -> None:
        """``[a-z]``, ``[^\\d.]``: read to its end, checked, and left to ``re``."""
        found = re.compile(r"\^?\]?(?:\\.|[^\]\\\n])*\]").match(self._text, self._at)
        if not found:
            raise self._wrong("a [ that is not closed")
        inside = found[0][:-1]
        if re.search(r"\[|\\[^dwsDWStnrfv\W]|&&|--|~~|\|\|", inside):
            raise self._wrong("a set that is not understood: put \\ before signs")
        try:
            self._one(f"[{inside}]")
        except re.error as error:
            raise self._wrong(str(error)) from None
        self._at = found.end()
